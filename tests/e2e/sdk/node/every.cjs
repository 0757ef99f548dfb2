// Tries every method that the Call of the SDK and the objects of its operations have, each on a call of its own,
// and says how it went: {"what": "tried", "name", "came": "ok" | "refused" | "nothing", "told"}.  The last line
// has the methods that were not tried, and the events that were heard.
'use strict'

const { DeviceBuilder, Playlist, connect, failure, isV4, options, say } = require('./sdk.cjs')

const PATIENCE = 8000
const { alice, busy, keys, number } = options // devices of phones; `keys` presses 12# when it has answered
const digits = { max: 4, digitTimeout: 2, terminators: '#' }
const spoken = { speech: { endSilenceTimeout: 1, language: 'en-US' } }

let client
const used = new Set()
const known = new Map() // kind -> its methods
const heard = new Set()

// Calls a method, and remembers that it exists and was called.
function use(kind, it, method, ...params) {
  if (!known.has(kind)) known.set(kind, methodsOf(it))
  used.add(`${kind}.${method}`)
  return it[method](...params)
}

const INTERNAL = ['constructor', 'setPayload', 'setConnectPayload', 'getEmitterTransforms', 'dial', '_lastEvent']

function methodsOf(it) {
  let prototype = it
  const has = (name) => Object.getOwnPropertyDescriptor(prototype, name) !== undefined
  while (!has('constructor') || !(has('stop') || has('answer'))) prototype = Object.getPrototypeOf(prototype)
  const descriptors = Object.entries(Object.getOwnPropertyDescriptors(prototype))
  return descriptors.filter(([name, one]) => one.value instanceof Function && !INTERNAL.includes(name)).map(([name]) => name)
}

const LISTENERS = [
  'StateChanged', 'PlaybackStarted', 'PlaybackUpdated', 'PlaybackFailed', 'PlaybackEnded', 'RecordingStarted',
  'RecordingUpdated', 'RecordingFailed', 'RecordingEnded', 'PromptStarted', 'PromptUpdated', 'PromptFailed',
  'PromptEnded', 'CollectStarted', 'CollectInputStarted', 'CollectUpdated', 'CollectFailed', 'CollectEnded',
  'TapStarted', 'TapEnded', 'DetectStarted', 'DetectUpdated', 'DetectEnded',
]
const EVENTS = [
  'call.state', 'playback.started', 'playback.updated', 'playback.failed', 'playback.ended', 'recording.started',
  'recording.updated', 'recording.failed', 'recording.ended', 'prompt.started', 'prompt.updated', 'prompt.failed',
  'prompt.ended', 'prompt.startOfInput', 'collect.started', 'collect.startOfInput', 'collect.updated',
  'collect.failed', 'collect.ended', 'tap.started', 'tap.ended', 'detect.started', 'detect.updated',
  'detect.ended', 'connect.connecting', 'connect.connected', 'connect.disconnected', 'connect.failed',
]

async function dialled(device = alice) {
  const { type, ...params } = device
  const call = await client.dialSip(params)
  if (isV4) {
    await call.listen(Object.fromEntries(LISTENERS.map((name) => [`on${name}`, () => void heard.add(name)])))
  } else {
    for (const name of EVENTS) call.on(name, () => void heard.add(name))
  }
  return call
}

const later = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value))
const NOTHING = {}

async function step(name, work, device) {
  const call = await dialled(device)
  const outcome = await Promise.race([
    Promise.resolve().then(() => work(call)).then((told) => ({ came: 'ok', told: told ?? {} }), (error) => ({ came: 'refused', told: failure(error) })),
    later(PATIENCE, NOTHING),
  ])
  say('tried', { name, ...(outcome === NOTHING ? { came: 'nothing' } : outcome) })
  if (call.state !== 'ended') await Promise.race([call.hangup().catch(() => {}), later(PATIENCE)])
}

// An operation that has begun: 4.x wants to be asked for that.
const begun = (call, method, ...params) => {
  const promise = use('call', call, method, ...params)
  return isV4 ? promise.onStarted() : promise
}
const list = (...items) => new Playlist({ volume: 2 }).add(items[0])
const play = (call, seconds = 0.1) => {
  const playlist = list(Playlist.Silence({ duration: seconds }))
  return begun(call, 'play', isV4 ? { playlist } : playlist)
}
const facts = (it) => ({ state: it.state, type: it.type, digits: it.digits, terminator: it.terminator, result: it.result, url: it.url })
const has = (it, method) => typeof it[method] === 'function'

async function toItsEnd(kind, it) {
  return facts((await use(kind, it, 'ended')) ?? it)
}

async function steered(kind, it, ...methods) {
  for (const [method, ...params] of methods) if (has(it, method)) await use(kind, it, method, ...params)
  return toItsEnd(kind, it)
}

const tapTo = { type: 'rtp', addr: '127.0.0.1', port: options.port, codec: 'PCMU', ptime: 20 }

// 3.9.0 never settles a `tap.ended()` that was called before the end.
async function tapped(it) {
  await use('tap', it, 'stop')
  await later(100)
  return toItsEnd('tap', it)
}

async function bridged(call, method, params) {
  const peer = await use('call', call, method, params)
  const apart = use('call', call, 'disconnected')
  await use('call', call, 'disconnect')
  await apart
  await peer.hangup()
  return { peer: peer.id, to: peer.to, type: peer.type }
}

const sip = ({ type, ...params }) => params

const steps = {
  properties: (call) => ({ id: call.id, callId: call.callId, state: call.state, callState: call.callState, nodeId: call.nodeId, tag: call.tag, device: call.device, type: call.type, from: call.from, to: call.to, headers: call.headers, active: call.active, connected: call.connected, direction: call.direction }),
  'play, pause, resume, volume': async (call) =>
    steered('playback', await play(call, 30), ['pause'], ['resume'], ['setVolume', -3], ['stop']),
  'play to its end': async (call) => steered('playback', await play(call), ['waitForEnded']),
  playAudio: async (call) => toItsEnd('playback', await begun(call, 'playAudio', { url: options.url, volume: 1 })),
  'playAudio of nothing': async (call) => toItsEnd('playback', await begun(call, 'playAudio', { url: options.nothing })),
  'playAudio of no URL': (call) => begun(call, 'playAudio', { url: 'tone.wav' }),
  'play of nothing': async (call) => toItsEnd('playback', await begun(call, 'playSilence', { duration: 0 })),
  playSilence: async (call) => toItsEnd('playback', await begun(call, 'playSilence', { duration: 0.1 })),
  playRingtone: async (call) => toItsEnd('playback', await begun(call, 'playRingtone', { name: 'it', duration: 0.2, volume: 1 })),
  'playRingtone of nowhere': (call) => begun(call, 'playRingtone', { name: 'xx' }),
  playTTS: async (call) => toItsEnd('playback', await begun(call, 'playTTS', { text: 'hi', language: 'en-GB', gender: 'male', voice: 'Polly.Brian', volume: -2 })),
  record: async (call) => {
    const audio = { beep: true, format: 'mp3', stereo: true, direction: 'both', initialTimeout: 0, endSilenceTimeout: 0, terminators: '#', inputSensitivity: 44 }
    const it = await begun(call, 'record', { audio })
    await later(200)
    return steered('recording', it, ['pause', { behavior: 'skip' }], ['resume'], ['stop'])
  },
  recordAudio: async (call) => steered('recording', await begun(call, 'recordAudio'), ['stop']),
  prompt: async (call) => {
    const playlist = list(Playlist.Silence({ duration: 30 }))
    return steered('prompt', await begun(call, 'prompt', { playlist, digits }), ['setVolume', 3], ['stop'])
  },
  promptAudio: async (call) => steered('prompt', await begun(call, 'promptAudio', { url: options.url, digits, initialTimeout: 0.2 }), ['waitForResult']),
  promptRingtone: async (call) => toItsEnd('prompt', await begun(call, 'promptRingtone', { name: 'us', duration: 0.2, digits, initialTimeout: 0.2 })),
  promptTTS: [keys, async (call) => toItsEnd('prompt', await begun(call, 'promptTTS', { text: 'Your number', digits }))],
  'promptTTS for speech': (call) => begun(call, 'promptTTS', { text: 'hi', ...spoken }),
  'promptTTS for nothing': (call) => begun(call, 'promptTTS', { text: 'hi' }),
  collect: [keys, async (call) => toItsEnd('collect', await begun(call, 'collect', { digits, partialResults: true, sendStartOfInput: true, initialTimeout: 5 }))],
  'collect with timers of its own': async (call) =>
    steered('collect', await begun(call, 'collect', { digits, startInputTimers: false, initialTimeout: 0.2 }), ['startInputTimers']),
  'collect without end': async (call) => steered('collect', await begun(call, 'collect', { digits, continuous: true }), ['stop']),
  'collect for speech': (call) => begun(call, 'collect', spoken),
  detect: [keys, async (call) => toItsEnd('detect', await begun(call, 'detect', { type: 'digit', digits: '12', timeout: 1 }))],
  detectDigit: async (call) => steered('detect', await begun(call, 'detectDigit'), ['stop']),
  detectFax: async (call) => steered('detect', await begun(call, 'detectFax', { tone: 'CNG', timeout: 0.3 }), ['waitForResult']),
  amd: async (call) => toItsEnd('detect', await begun(call, 'amd', { timeout: 0.3, waitForBeep: true, initialTimeout: 4, endSilenceTimeout: 1, machineReadyTimeout: 2, machineVoiceThreshold: 1.25, machineWordsThreshold: 6 })),
  detectAnsweringMachine: async (call) => steered('detect', await begun(call, 'detectAnsweringMachine'), ['stop']),
  tap: async (call) => tapped(await begun(call, 'tap', { audio: { direction: 'both' }, device: tapTo })),
  tapAudio: async (call) => tapped(await begun(call, 'tapAudio', { direction: 'speak', device: { ...tapTo, codec: 'OPUS' } })),
  'tap to nobody': (call) => begun(call, 'tapAudio', { direction: 'speak', device: { type: 'ws', uri: 'ws://127.0.0.1:1/' } }),
  sendDigits: async (call) => ({ id: (await use('call', call, 'sendDigits', '1w2#')).id }),
  'sendDigits of none': (call) => use('call', call, 'sendDigits', 'xyz'),
  connectSip: (call) => bridged(call, 'connectSip', { ...sip(alice), ringback: list(Playlist.Ringtone({ name: 'us' })), maxPricePerMinute: 0.01, headers: [{ name: 'X-A', value: 'b' }], codecs: ['PCMU'], sessionTimeout: 600 }),
  connectPhone: (call) => bridged(call, 'connectPhone', sip(number)),
  connect: (call) => bridged(call, 'connect', new DeviceBuilder().add(DeviceBuilder.Sip(sip(busy))).add([DeviceBuilder.Sip(sip(alice))])),
  'connect with a ringback': (call) => bridged(call, 'connect', { devices: new DeviceBuilder().add(DeviceBuilder.Sip(sip(alice))), ringback: list(Playlist.TTS({ text: 'wait' })) }),
  'connectSip with WebRTC': (call) => use('call', call, 'connectSip', { ...sip(alice), webrtcMedia: true }),
  'connectSip with a header': (call) => use('call', call, 'connectSip', { ...sip(alice), headers: [{ name: 'Via', value: 'b' }] }),
  'connectSip of five decimals': (call) => use('call', call, 'connectSip', { ...sip(alice), maxPricePerMinute: 0.00001 }),
  'connectSip to a busy one': (call) => use('call', call, 'connectSip', sip(busy)),
  'disconnect of nobody': (call) => use('call', call, 'disconnect'),
  waitForDisconnected: async (call) => ({ type: typeof (await use('call', call, 'waitForDisconnected')) }),
  'answer of one that has': (call) => use('call', call, 'answer'),
  'pass of one that was not offered': (call) => (has(call, 'pass') ? use('call', call, 'pass') : Promise.reject(new Error('it has none'))),
  'hangup and waitFor': async (call) => {
    const ended = use('call', call, 'waitFor', 'ended')
    await use('call', call, 'hangup', 'busy')
    return { reached: await ended, state: call.state }
  },
  'play to one that has gone': async (call) => {
    await call.hangup()
    return play(call)
  },
  'dialSip with WebRTC': () => client.dialSip({ ...sip(alice), webrtcMedia: true }),
  'dialSip of no URI': () => client.dialSip({ ...sip(alice), to: 'nobody' }),
}

async function main() {
  client = await connect({ contexts: isV4 ? [] : ['nobody'] })
  for (const [name, work] of Object.entries(steps)) {
    if (Array.isArray(work)) await step(name, work[1], work[0])
    else await step(name, work)
  }
  const all = [...known].flatMap(([kind, methods]) => methods.map((method) => `${kind}.${method}`))
  say('done', { untried: all.filter((name) => !used.has(name)), tried: all.length, heard: [...heard] })
}

main()
