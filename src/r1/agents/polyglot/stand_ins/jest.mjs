// A small part of Jest: describe, test, expect. Usage: jest.mjs SPEC ...; the secret on standard
// input signs the last line: secret, passed, failed, skipped. What decides a test is taken from the
// language before the solution is loaded, and the globals cannot be replaced.
import { closeSync, readFileSync, writeSync } from 'node:fs';

const { is, keys, getPrototypeOf, defineProperty } = Object;
const { apply } = Reflect;
const matches = RegExp.prototype.exec;
const { isArray } = Array;
const { stringify } = JSON;
const exit = process.exit.bind(process);
const secret = readFileSync(0, 'utf8').trim();
closeSync(0);

const suites = [{ name: '', before: [], after: [], all: [], done: [] }];
const tests = [];
let hasOnly = false;

function describe(name, body) {
  suites.push({ name, before: [], after: [], all: [], done: [] });
  body();
  suites.pop();
}
describe.skip = () => {};
describe.each = each(describe);

function add(name, body, skipped, only) {
  const inside = [...suites];
  tests[tests.length] = { name: inside.map((s) => s.name).join(' ') + ' ' + name, body, skipped, only, inside };
  hasOnly ||= only;
}
const test = (name, body) => add(name, body, false, false);
test.skip = (name, body) => add(name, body, true, false);
test.only = (name, body) => add(name, body, false, true);
test.todo = () => {};
test.each = each(test);

function each(make) {
  return (rows) => (name, body) =>
    rows.forEach((row, i) => make(`${name} ${i}`, () => body(...(isArray(row) ? row : [row]))));
}

function hook(kind) {
  return (body) => { const own = suites[suites.length - 1][kind]; own[own.length] = body; };
}

function shown(value) {
  try { return typeof value === 'function' ? '[function]' : (stringify(value) ?? String(value)); }
  catch { return '[value]'; }
}

function same(a, b, strict) {
  if (is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (isArray(a) !== isArray(b)) return false;
  if (a instanceof Date || b instanceof Date) return a instanceof Date && b instanceof Date && is(+a, +b);
  if (a instanceof RegExp || b instanceof RegExp) return `${a}` === `${b}`;
  if (a instanceof Map || a instanceof Set || b instanceof Map || b instanceof Set)
    return getPrototypeOf(a) === getPrototypeOf(b) && same([...a], [...b], strict);
  if (a instanceof Error && b instanceof Error) return a.message === b.message;
  if (strict && getPrototypeOf(a) !== getPrototypeOf(b)) return false;
  if (isArray(a) && a.length !== b.length) return false;
  for (const key of keys(a)) if ((strict || a[key] !== undefined) && !same(a[key], b[key], strict)) return false;
  for (const key of keys(b)) if (b[key] !== undefined && a[key] === undefined) return false;
  return true;
}

function threw(body, wanted) {
  try { body(); } catch (fault) { return fits(fault, wanted); }
  return false;
}

function fits(fault, wanted) {
  if (wanted === undefined) return true;
  const message = String(fault?.message ?? fault);
  if (typeof wanted === 'string') return message.includes(wanted);
  if (wanted instanceof RegExp) return apply(matches, wanted, [message]) !== null;
  return typeof wanted === 'function' ? fault instanceof wanted : message === wanted.message;
}

const MATCHERS = {
  toBe: (a, b) => is(a, b),
  toEqual: (a, b) => same(a, b, false),
  toStrictEqual: (a, b) => same(a, b, true),
  toBeNull: (a) => a === null,
  toBeUndefined: (a) => a === undefined,
  toBeDefined: (a) => a !== undefined,
  toBeTruthy: (a) => Boolean(a),
  toBeFalsy: (a) => !a,
  toBeNaN: (a) => is(a, NaN),
  toBeGreaterThan: (a, b) => typeof a === typeof b && a > b,
  toBeGreaterThanOrEqual: (a, b) => typeof a === typeof b && a >= b,
  toBeLessThan: (a, b) => typeof a === typeof b && a < b,
  toBeLessThanOrEqual: (a, b) => typeof a === typeof b && a <= b,
  toBeCloseTo: (a, b, digits = 2) => typeof a === 'number' && Math.abs(a - b) < 10 ** -digits / 2,
  toBeInstanceOf: (a, b) => a instanceof b,
  toContain: (a, b) => (typeof a === 'string' ? a.includes(b) : [...a].some((item) => is(item, b))),
  toContainEqual: (a, b) => [...a].some((item) => same(item, b, false)),
  toHaveLength: (a, b) => is(a.length, b),
  toHaveProperty: (a, b) => keys(a).includes(b) || b in a,
  toMatch: (a, b) => typeof a === 'string' && (typeof b === 'string' ? a.includes(b) : apply(matches, b, [a]) !== null),
  toMatchObject: (a, b) => keys(b).every((key) => same(a[key], b[key], false)),
  toThrow: (a, b) => threw(a, b),
  toThrowError: (a, b) => threw(a, b),
};

function expect(actual) {
  const build = (negated) => {
    const made = {};
    for (const name of keys(MATCHERS))
      made[name] = (...wanted) => {
        if (MATCHERS[name](actual, ...wanted) === negated)
          throw new Error(`expect(${shown(actual)})${negated ? '.not' : ''}.${name}(${wanted.map(shown).join(', ')})`);
      };
    return made;
  };
  return { ...build(false), not: build(true), resolves: settled(actual, false), rejects: settled(actual, true) };
}

function settled(promise, rejected) {
  const made = {};
  for (const name of keys(MATCHERS))
    made[name] = async (...wanted) => {
      const [failed, value] = await promise.then((v) => [false, v], (e) => [true, e]);
      const isThrow = name.startsWith('toThrow');
      if (failed !== rejected || !(isThrow ? fits(value, ...wanted) : MATCHERS[name](value, ...wanted)))
        throw new Error(`${rejected ? 'rejects' : 'resolves'}.${name}: got ${shown(value)}`);
    };
  return made;
}

const xtest = test.skip;
const GLOBALS = { describe, test, it: test, xtest, xit: xtest, xdescribe: describe.skip, expect,
  beforeEach: hook('before'), afterEach: hook('after'), beforeAll: hook('all'), afterAll: hook('done') };
for (const name of keys(GLOBALS))
  defineProperty(globalThis, name, { value: GLOBALS[name], writable: false, configurable: false });

function called(body) {
  return body.length === 0 ? body() : new Promise((good, bad) => body((fault) => (fault ? bad(fault) : good())));
}

async function run(one) {
  for (const suite of one.inside) {
    for (const body of suite.all.splice(0)) await called(body);
    for (const body of suite.before) await called(body);
  }
  try { await called(one.body); }
  finally { for (const suite of one.inside) for (const body of suite.after) await called(body); }
}

let [passed, failed, skipped] = [0, 0, 0];
for (const spec of process.argv.slice(2)) await import(spec);
for (let i = 0; i < tests.length; i += 1) {
  if (tests[i].skipped || (hasOnly && !tests[i].only)) { skipped += 1; continue; }
  try { await run(tests[i]); passed += 1; }
  catch (fault) { failed += 1; writeSync(2, `FAILED${tests[i].name}\n${fault?.stack ?? fault}\n\n`); }
}
writeSync(1, `\n${secret} ${passed} ${failed} ${skipped}\n`);
exit(failed ? 1 : 0);
