// A client that does what the test says, one line of JSON for each thing: {"id", "verb", ...} in, {"what": "#id",
// "value" | "error"} out.  Calls are named by their ids, operations by numbers.
'use strict'

const sdk = require('./sdk.cjs')
const { DeviceBuilder, Playlist, isV4, options, say } = sdk

const calls = new Map()
const operations = []
let client

const call = ({ call: id }) => calls.get(id) ?? refuse(`no call ${id}`)
const operation = ({ op }) => operations[op] ?? refuse(`no operation ${op}`)

function refuse(message) {
  throw new Error(message)
}

function known(one) {
  if (one?.id) calls.set(one.id, one)
  return about(one)
}

const about = (one) => ({
  id: one.id,
  state: one.state,
  type: one.type,
  from: one.from,
  to: one.to,
  direction: one.direction,
  context: one.context,
})

const offered = (one) => say('offered', known(one))

// What is played, in the SDK's words: [{type: 'audio' | 'tts' | 'silence' | 'ringtone', ...}]
const MEDIA = { audio: Playlist.Audio, tts: Playlist.TTS, silence: Playlist.Silence, ringtone: Playlist.Ringtone }

function playlist(items, volume) {
  const list = new Playlist(volume === undefined ? {} : { volume })
  for (const { type, ...params } of items) list.add(MEDIA[type](params))
  return list
}

// Adds what only some programs give to a plan: ringback and the like.
function dialling(params) {
  const { devices, ringback, maxPricePerMinute } = params
  const plan = sdk.plan(devices)
  if (ringback === undefined && maxPricePerMinute === undefined) return plan
  return {
    devices: plan,
    ...(ringback && { ringback: playlist(ringback) }),
    ...(maxPricePerMinute !== undefined && { maxPricePerMinute }),
  }
}

async function begun(promise, heard = []) {
  const { it, ended } = await sdk.operation(promise)
  operations.push({ it, ended, heard })
  return { op: operations.length - 1 }
}

const facts = ({ it, heard }) => ({
  state: it.state,
  type: it.type,
  digits: it.digits,
  terminator: it.terminator,
  url: it.url,
  size: it.size,
  duration: it.duration,
  heard,
})

// Detectors tell what they hear by events; 4.x alone keeps the result.
function detecting(params) {
  const { call: _, kind, ...rest } = params
  const one = call(params)
  const method = { digit: 'detectDigit', fax: 'detectFax', machine: 'amd' }[kind]
  const heard = []
  const note = (it) => heard.push(it.detect?.params?.event)
  if (isV4) return begun(one[method]({ ...rest, listen: { onUpdated: note } }), heard)
  one.on('detect.updated', note)
  return begun(one[method](rest), heard)
}

const verbs = {
  receive: ({ contexts }) => contextsChange('add', contexts),
  unreceive: ({ contexts }) => contextsChange('remove', contexts),
  dial: async (params) => known(await client.dial(dialling(params))),
  dialPhone: async (params) => known(await client.dialPhone(params)),
  dialSip: async (params) => known(await client.dialSip(params)),
  can: (params) => Object.fromEntries(params.names.map((name) => [name, typeof call(params)[name] === 'function'])),
  about: (params) => about(call(params)),
  peer: (params) => ({ id: call(params).peer?.id ?? call(params).peer?.callId }),
  // Says each state that the call enters, as the SDK tells it.
  watch: (params) => {
    const one = call(params)
    const told = (it) =>
      say('state', { call: one.id, state: it.state ?? it.callState, reason: it.endReason })
    if (isV4) return one.listen({ onStateChanged: told }).then(() => ({}))
    one.on('call.state', told)
  },
  answer: async (params) => known(await call(params).answer()),
  hangup: (params) => call(params).hangup(params.reason),
  pass: (params) => call(params).pass(),
  waitFor: async (params) => ({ reached: await call(params).waitFor(params.state) }),
  connect: async (params) => known(await call(params).connect(dialling(params))),
  connectPhone: async ({ ringback, ...params }) =>
    known(
      await call(params).connectPhone({
        ...withoutCall(params),
        ...(ringback && { ringback: playlist(ringback) }),
      })
    ),
  connectSip: async ({ ringback, ...params }) =>
    known(
      await call(params).connectSip({
        ...withoutCall(params),
        ...(ringback && { ringback: playlist(ringback) }),
      })
    ),
  disconnect: (params) => call(params).disconnect().then(() => ({})),
  disconnected: (params) => call(params).disconnected().then(() => ({})),
  play: (params) => {
    const list = playlist(params.items, params.volume)
    return begun(call(params).play(isV4 ? { playlist: list } : list))
  },
  prompt: (params) => {
    const list = playlist(params.items)
    const rest = { digits: params.digits, initialTimeout: params.initialTimeout }
    return begun(call(params).prompt(isV4 ? { playlist: list, ...rest } : { playlist: list, ...rest }))
  },
  record: (params) => begun(call(params).recordAudio(withoutCall(params))),
  collect: (params) => begun(call(params).collect(withoutCall(params))),
  detect: detecting,
  sendDigits: (params) => call(params).sendDigits(params.digits).then(() => ({})),
  pause: (params) => operation(params).it.pause().then(() => ({})),
  resume: (params) => operation(params).it.resume().then(() => ({})),
  stop: (params) => operation(params).it.stop().then(() => ({})),
  ended: async (params) => {
    const one = operation(params)
    const last = await one.ended()
    return facts({ ...one, it: last ?? one.it })
  },
}

function withoutCall({ call: _, ...rest }) {
  return rest
}

const listening = new Map()

async function contextsChange(how, contexts) {
  if (!isV4) {
    await client[`${how}Contexts`](contexts)
  } else if (how === 'add') {
    listening.set(contexts.join(), await client.listen({ topics: contexts, onCallReceived: offered }))
  } else {
    await listening.get(contexts.join())()
  }
}

async function obey(line) {
  const { id, verb, ...params } = JSON.parse(line)
  try {
    const did = verbs[verb] ?? refuse(`${verb}: no such verb`)
    const value = await did(params)
    say(`#${id}`, { value: value ?? {} })
  } catch (error) {
    say(`#${id}`, { error: sdk.failure(error) })
  }
}

async function main() {
  // 4.x can leave a context only by what its `listen` has returned.
  client = await sdk.connect({ contexts: isV4 ? [] : options.contexts, onCall: offered })
  if (isV4 && options.contexts.length) await contextsChange('add', options.contexts)
  say('ready')
  for (;;) obey(await sdk.go())
}

main()
