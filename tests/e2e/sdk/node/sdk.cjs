// One face for two generations of @signalwire/realtime-api: 3.x (`Voice.Client`) and 4.x (`SignalWire`).
// Nothing of the SDK is changed; only the calls of a program are spelled as its generation wants them.
'use strict'

const realtime = require('@signalwire/realtime-api')
const readline = require('node:readline')

const options = JSON.parse(process.argv[2])
const isV4 = typeof realtime.SignalWire === 'function'
const { DeviceBuilder, Playlist } = realtime.Voice

const say = (what, data = {}) => process.stdout.write(JSON.stringify({ what, ...data }) + '\n')

const lines = []
const waiting = []
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const next = waiting.shift()
  if (next) next(line)
  else lines.push(line)
})
// The test says when the program goes on.
const go = () =>
  lines.length ? Promise.resolve(lines.shift()) : new Promise((resolve) => waiting.push(resolve))

// A client that hands calls for `contexts` to `onCall`.
async function connect({ contexts = [], onCall } = {}) {
  const { host, project, token } = options
  if (isV4) {
    const client = await realtime.SignalWire({ host, project, token })
    if (contexts.length) await client.voice.listen({ topics: contexts, onCallReceived: onCall })
    return client.voice
  }
  const client = new realtime.Voice.Client({ host, project, token, contexts })
  if (onCall) client.on('call.received', onCall)
  // The constructor connects in the background: this is answered when the calls come here.
  if (contexts.length) await (client.addTopics ?? client.addContexts).call(client, contexts)
  return client
}

// [[{type, ...}]] in the SDK's own words: the outer list in turn, the inner one at once.
function plan(groups) {
  const builder = new DeviceBuilder()
  const device = ({ type, ...params }) =>
    type === 'sip' ? DeviceBuilder.Sip(params) : DeviceBuilder.Phone(params)
  for (const group of groups) builder.add(group.length === 1 ? device(group[0]) : group.map(device))
  return builder
}

// Each operation: {started, ended(), stop(), ...}, resolved when it has begun.
async function operation(promise) {
  if (isV4) {
    const begun = await promise.onStarted()
    return { it: begun, ended: () => promise.onEnded() }
  }
  const begun = await promise
  return { it: begun, ended: () => begun.ended() }
}

const failure = (error) => {
  const text = error instanceof Error ? { message: error.message } : error
  return { ...text }
}

module.exports = { DeviceBuilder, Playlist, connect, failure, go, isV4, operation, options, plan, say }
