// Calls a function of the answer, which stands above, for each line of standard input: a JSON list
// of arguments. The first line is the nonce. For each call one line is written: nonce, number, "ok"
// or "error", and the result as JSON.
;(async () => {
  const fs = require("fs");
  let pending = Buffer.alloc(0);
  const readLine = () => {
    for (;;) {
      const end = pending.indexOf(10);
      if (end >= 0) {
        const line = pending.subarray(0, end).toString("utf8");
        pending = pending.subarray(end + 1);
        return line;
      }
      const chunk = Buffer.alloc(65536);
      let count = 0;
      try {
        count = fs.readSync(0, chunk, 0, chunk.length, null);
      } catch (error) {
        if (error.code === "EAGAIN") continue;
        if (error.code !== "EOF") throw error;
      }
      if (count === 0) return null;
      pending = Buffer.concat([pending, chunk.subarray(0, count)]);
    }
  };
  const encode = (value) => {
    if (R1_TAGGED) return r1Encode(value);
    if (value === undefined || value === null) return "null";
    if (typeof value === "number") return Object.is(value, -0) ? "0" : String(value);
    if (typeof value === "bigint") return value.toString();
    if (value instanceof Set) value = [...value];
    if (value instanceof Map) value = Object.fromEntries(value);
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      return "[" + Array.from(value, encode).join(",") + "]";
    }
    if (typeof value === "object") {
      const items = Object.entries(value).map(([k, v]) => JSON.stringify(k) + ":" + encode(v));
      return "{" + items.join(",") + "}";
    }
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError("a " + typeof value + " cannot be written as JSON");
    return text;
  };
  const find = () => {
    const entry = R1_ENTRY;
    if (R1_OWNER === null) return entry;
    const owner = R1_OWNER;
    return typeof owner[R1_NAME] === "function" ? owner[R1_NAME].bind(owner) : (...args) => {
      return new owner()[R1_NAME](...args);
    };
  };
  const nonce = readLine();
  for (let number = 0; ; number++) {
    const line = readLine();
    if (line === null) break;
    let word = "ok", text = "null";
    try {
      let value = find()(...(R1_TAGGED ? r1Decode(JSON.parse(line)) : JSON.parse(line)));
      if (value && typeof value.then === "function") value = await value;
      text = encode(value);
    } catch (error) {
      word = "error";
      text = JSON.stringify(String(error).slice(0, 200));
    }
    fs.writeSync(1, "\n" + nonce + " " + number + " " + word + " " + text + "\n");
  }
})();
