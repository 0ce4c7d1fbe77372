// What the programs for Node.js share: their arguments, the lines they tell, and what all of them recite with
// the methods that ioredis, iovalkey and node-redis name differently (`verbs`).

const [mode, host, port, prefix, protocol] = process.argv.slice(2);
const key = (name) => `${prefix}:${name}`;
const tell = (name, value) => console.log(`${name}=${value}`);

async function recite(client, verbs) {
  tell("ping", await client.ping());
  tell("missing", (await client.get(key("missing"))) === null ? "nil" : "something");
  tell("hash", await verbs.hash(key("hash")));
  tell("list", await verbs.list(key("list")));
  tell("zset", await verbs.zset(key("zset")));
  tell("set", await verbs.set(key("set")));
  tell("transaction", await verbs.transaction(key("number")));
  tell("script", await verbs.script(key("script")));
  try {
    await client.incr(key("list"));
  } catch (error) {
    tell("error", error.message.split(" ")[0]);
  }
  await verbs.setFor100Seconds(key("fleeting"));
  tell("ttl", await client.ttl(key("fleeting")));
  tell("queue", await verbs.queue(key("queue")));
  await client.set(key("big"), "x".repeat(1 << 20));
  tell("big", (await client.get(key("big"))).length);
  const numbers = [...Array(500).keys()];
  await Promise.all(numbers.map((number) => client.set(key(`spread:${number}`), String(number))));
  const values = await Promise.all(numbers.map((number) => client.get(key(`spread:${number}`))));
  tell("spread", values.filter((value, number) => value === String(number)).length);
  tell("pubsub", await verbs.pubsub(key("channel")));
}

module.exports = { mode, host, port: Number(port), protocol: Number(protocol), key, tell, recite };
