// Runs a test program, which stands below, whose function under test is a stub; bridge.js stands
// above. Standard input: the nonce; then, two lines a call, its arguments and "ok" or "error" with
// the result. A call that is not among them is told on standard output; from then on no assertion
// can fail, so that one run tells as many calls as it can. As the process ends well it tells that
// the tests passed ("done"), also without an assertion ("idle"), or why they cannot judge ("fault"). Test frameworks' `test`,
// `it`, `describe` and `expect` are here in their plain forms; what they are given runs at the end.
const [r1Nonce, ...r1Lines] = require("fs").readFileSync(0, "utf8").split("\n");
const r1Known = new Map();
for (let i = 0; i + 1 < r1Lines.length; i += 2) r1Known.set(r1Lines[i], r1Lines[i + 1]);
const r1Unknown = new Set();
const r1Raised = new WeakSet();
let r1Failed;
const r1Lost = (error) => {  // heard by a handler that does no more than print
  const claims = error && (error.code === "ERR_ASSERTION" || error.constructor === Error);
  if (claims && !r1Raised.has(error)) r1Failed = r1Failed || error;
};
let r1Checks = R1_CHECKS, r1Calls = 0;
const r1Say = (text) => require("fs").writeSync(1, "\n" + r1Nonce + " " + text + "\n");
const r1Fault = (text) => {
  r1Say("fault " + JSON.stringify(text));
  process.reallyExit(3);
};
const r1Stub = (...args) => {
  r1Calls++;
  let call;
  try {
    call = r1Encode(args);
  } catch (error) {
    if (!r1Unknown.size && error instanceof TypeError) r1Fault("an argument: " + error.message);
    throw error;
  }
  const known = r1Known.get(call);
  if (known === undefined) {
    if (!r1Unknown.has(call)) r1Say("call " + call);
    r1Unknown.add(call);
    return undefined;
  }
  const text = known.slice(known.indexOf(" ") + 1);
  if (known.startsWith("ok ")) return r1Decode(JSON.parse(text));
  const [, name, message] = /^"?(\w+): (.*?)"?$/s.exec(text) || [, "Error", text];
  const kind = {TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError}[name] || Error;
  const error = new kind(message);
  r1Raised.add(error);
  throw error;
};
const r1Soft = (real) => new Proxy(real, {
  apply: (target, self, args) => {
    r1Checks++;
    return r1Unknown.size ? undefined : Reflect.apply(target, self, args);
  },
  get: (target, key) => {
    const found = target[key];
    return typeof found === "function" && !/Error$/.test(String(key)) ? r1Soft(found) : found;
  },
});
const r1Assert = r1Soft(require("assert"));
console.assert = (holds, ...words) => r1Assert(holds, words.join(" "));
const r1Cases = [], r1Before = [];
const r1Case = (name, ...rest) => r1Cases.push(rest.findLast((each) => typeof each === "function"));
const describe = (name, ...rest) => rest.findLast((each) => typeof each === "function")();
const beforeEach = (setup) => r1Before.push(setup), before = beforeEach, beforeAll = beforeEach;
const it = Object.assign(r1Case, {only: r1Case, concurrent: r1Case, skip: () => {}, todo: () => {}});
globalThis.test = it;  // as a property: the tests may declare the name
const r1Test = Object.assign(r1Case, {test: it, it, describe, before, beforeEach, default: it});
const expect = (given) => {
  const claims = (not) => {
    const say = (holds, words) => r1Assert(Boolean(holds) !== not, "expected " + words);
    const same = (other) => require("util").isDeepStrictEqual(given, other);
    const plain = (v) => JSON.stringify(v);
    return {
      toBe: (other) => say(Object.is(given, other), plain(other)),
      toEqual: (other) => say(same(other), plain(other)),
      toStrictEqual: (other) => say(same(other), plain(other)),
      toBeCloseTo: (other, digits = 2) => say(Math.abs(given - other) < 10 ** -digits / 2, other),
      toBeTruthy: () => say(given, "truth"),
      toBeFalsy: () => say(!given, "falsity"),
      toBeNull: () => say(given === null, "null"),
      toBeUndefined: () => say(given === undefined, "undefined"),
      toBeDefined: () => say(given !== undefined, "a value"),
      toBeNaN: () => say(Number.isNaN(given), "NaN"),
      toBeGreaterThan: (other) => say(given > other, "> " + other),
      toBeLessThan: (other) => say(given < other, "< " + other),
      toContain: (other) => say(given.includes(other), "to contain " + plain(other)),
      toHaveLength: (other) => say(given.length === other, "length " + other),
      toMatch: (other) => say(given.match(other), String(other)),
      toThrow: (wanted) => {
        let error;
        try { given(); } catch (caught) { error = caught; }
        const meets = typeof wanted === "function" ? error instanceof wanted
          : !wanted || (wanted instanceof RegExp ? wanted.test(error) : String(error).includes(wanted));
        say(error && meets, "an error");
      },
    };
  };
  return {...claims(false), not: claims(true)};
};
const r1Require = (name) => {
  if (name.startsWith(".")) return R1_EXPORTS;
  if (/^(node:)?test$/.test(name)) return r1Test;
  if (/^(@jest\/globals|vitest)$/.test(name)) return {...r1Test, expect};
  const real = require(name);
  return /^(node:)?assert(\/strict)?$/.test(name) ? r1Soft(real) : real;
};
r1Require.main = typeof module === "undefined" ? undefined : module;
const r1Run = async (found) => {
  for (const check of [...found, ...r1Cases]) {
    try {
      for (const setup of r1Before) await setup();
      await check({test: r1Case});
    } catch (error) {
      if (!r1Unknown.size) throw error;
    }
  }
};
process.on("uncaughtException", (error) => {
  if (r1Unknown.size) process.reallyExit(0);
  const broken = error instanceof ReferenceError || (error && error.code === "MODULE_NOT_FOUND");
  if (broken && !r1Raised.has(error)) r1Fault(String(error).split("\n")[0]);
  console.error(error);
  process.reallyExit(1);
});
process.on("exit", (code) => {
  if (code || r1Unknown.size) return;
  if (r1Failed) {
    console.error(r1Failed);
    process.reallyExit(1);
  }
  if (!r1Calls) r1Fault("the tests never call " + R1_NAME);
  if (!r1Checks) r1Say("idle");
  r1Say("done");
});
R1_GLOBAL
