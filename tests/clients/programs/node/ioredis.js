// ioredis, or iovalkey, which began as a copy of it: the module is named by CLIENT_MODULE.

const Redis = require(process.env.CLIENT_MODULE || "ioredis");
const { mode, host, port, key, tell, recite } = require("./shared");

const connect = () => (mode === "cluster" ? new Redis.Cluster([{ host, port }]) : new Redis({ host, port }));
const client = connect();

const verbs = {
  async hash(name) {
    await client.hset(name, { a: 1, b: 2 });
    const fields = await client.hgetall(name);
    return Object.keys(fields).sort().map((field) => `${field}=${fields[field]}`).join(",");
  },
  async list(name) {
    await client.rpush(name, 1, 2, 3);
    return (await client.lrange(name, 0, -1)).join(",");
  },
  async zset(name) {
    await client.zadd(name, 1, "one", 2.5, "two");
    const flat = await client.zrange(name, 0, -1, "WITHSCORES");
    return `${flat[0]}=${flat[1]},${flat[2]}=${flat[3]}`;
  },
  async set(name) {
    await client.sadd(name, "x", "y");
    return (await client.smembers(name)).sort().join(",");
  },
  async transaction(name) {
    return (await client.multi().set(name, 1).incr(name).exec()).map(([, value]) => value).join(",");
  },
  async script(name) {
    return (await client.eval("return {ARGV[1], tonumber(ARGV[2]) + 1}", 1, name, "seven", 7)).join(",");
  },
  setFor100Seconds: (name) => client.set(name, 1, "EX", 100),
  async queue(name) {
    await client.rpush(name, "job");
    return (await client.blpop(name, 1))[1];
  },
  async pubsub(name) {
    const subscriber = connect();
    const heard = new Promise((resolve) => subscriber.on("message", (_, message) => resolve(message)));
    await subscriber.subscribe(name);
    await client.publish(name, "hello");
    const message = await heard;
    subscriber.disconnect();
    return message;
  },
};

async function main() {
  await client.set(key("binary"), Buffer.from("61000d0aff242a", "hex"));
  tell("binary", (await client.getBuffer(key("binary"))).toString("hex"));
  const pipeline = client.pipeline();
  for (let n = 0; n < 1000; n++) pipeline.incr(key("counter"));
  tell("pipeline", (await pipeline.exec())[999][1]);
  await recite(client, verbs);
  client.disconnect();
}

main();
