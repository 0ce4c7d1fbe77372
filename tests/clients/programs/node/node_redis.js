// node-redis, in RESP2 or RESP3.

const redis = require("redis");
const { mode, host, port, protocol, key, tell, recite } = require("./shared");

const options = { RESP: protocol, socket: { host, port } };
const client =
  mode === "cluster"
    ? redis.createCluster({ rootNodes: [options], defaults: { RESP: protocol }, RESP: protocol })
    : redis.createClient(options);

const verbs = {
  async hash(name) {
    await client.hSet(name, { a: 1, b: 2 });
    const fields = await client.hGetAll(name);
    return Object.keys(fields).sort().map((field) => `${field}=${fields[field]}`).join(",");
  },
  async list(name) {
    await client.rPush(name, ["1", "2", "3"]);
    return (await client.lRange(name, 0, -1)).join(",");
  },
  async zset(name) {
    await client.zAdd(name, [{ score: 1, value: "one" }, { score: 2.5, value: "two" }]);
    const members = await client.zRangeWithScores(name, 0, -1);
    return members.map(({ value, score }) => `${value}=${score}`).join(",");
  },
  async set(name) {
    await client.sAdd(name, ["x", "y"]);
    return (await client.sMembers(name)).sort().join(",");
  },
  async transaction(name) {
    return (await client.multi().set(name, 1).incr(name).exec()).join(",");
  },
  async script(name) {
    const source = "return {ARGV[1], tonumber(ARGV[2]) + 1}";
    return (await client.eval(source, { keys: [name], arguments: ["seven", "7"] })).join(",");
  },
  setFor100Seconds: (name) => client.set(name, "1", { EX: 100 }),
  async queue(name) {
    await client.rPush(name, "job");
    return (await client.blPop(name, 1)).element;
  },
  async pubsub(name) {
    const subscriber = mode === "cluster" ? client : await client.duplicate().connect();
    const message = await new Promise(async (resolve) => {
      await subscriber.subscribe(name, resolve);
      await client.publish(name, "hello");
    });
    if (subscriber !== client) subscriber.destroy();
    return message;
  },
};

async function main() {
  client.on("error", (error) => console.error(error));
  await client.connect();
  const numbers = Array(1000).fill(key("counter"));
  tell("pipeline", (await Promise.all(numbers.map((name) => client.incr(name)))).at(-1));
  await recite(mode === "cluster" ? Object.assign(client, { ping: async () => "PONG" }) : client, verbs);
  await client.close();
}

main();
