// The tutorials' own client: admin, producer, and a group of one, two and three members. Prints one JSON line.
const { Kafka, logLevel } = require('kafkajs')

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.ERROR })
const seen = new Map()

async function member() {
  const consumer = kafka.consumer({ groupId: 'riders', sessionTimeout: 6000, heartbeatInterval: 500 })
  await consumer.connect()
  await consumer.subscribe({ topics: ['rider-updates'], fromBeginning: true })
  const joined = new Promise(resolve => consumer.on(consumer.events.GROUP_JOIN, resolve))
  await consumer.run({
    eachMessage: async ({ message }) => {
      const value = message.value.toString()
      seen.set(value, (seen.get(value) || 0) + 1)
    }
  })
  await joined
  return consumer
}

async function until(what, holds) {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 400) throw new Error(`${what} did not happen`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'rider-updates', numPartitions: 3 }] })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const members = []
  let sent = 0
  for (let round = 1; round <= 3; round++) {
    members.push(await member())
    for (let partition = 0; partition < 3; partition++) {
      const value = `${round}-${partition}`
      await producer.send({ topic: 'rider-updates', messages: [{ partition, key: value, value }] })
      sent++
    }
    await until(`round ${round}`, () => seen.size === sent)
  }
  const group = (await admin.describeGroups(['riders'])).groups[0]
  for (const consumer of members) await consumer.disconnect()
  const offsets = await admin.fetchOffsets({ groupId: 'riders', topics: ['rider-updates'] })
  await producer.disconnect()
  await admin.deleteGroups(['riders'])
  await admin.deleteTopics({ topics: ['rider-updates'] })
  const topics = await admin.listTopics()
  await admin.disconnect()
  const committed = offsets[0].partitions.map(one => Number(one.offset)).reduce((a, b) => a + b)
  console.log(JSON.stringify({ sent, seen: seen.size, members: group.members.length, committed, topics }))
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
