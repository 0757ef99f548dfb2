// A menu: the caller presses a key and is connected: @signalwire/realtime-api 4.x.
//
//     npm install @signalwire/realtime-api@4.2.1
//     node ivr-v4.cjs
'use strict'

const { SignalWire, Voice } = require('@signalwire/realtime-api')
const { DeviceBuilder } = Voice

const TRIES = 3
const DEPARTMENTS = {
  1: {
    name: 'sales',
    devices: () =>
      new DeviceBuilder()
        .add(DeviceBuilder.Sip({ from: 'sip:office@example.com', to: 'sip:bob@phones.test', timeout: 20 }))
        .add(DeviceBuilder.Phone({ from: '+15551230000', to: '+15550100', timeout: 20 })),
  },
  2: {
    name: 'support',
    devices: () =>
      new DeviceBuilder().add(
        DeviceBuilder.Sip({ from: 'sip:office@example.com', to: 'sip:alice@phones.test', timeout: 20 })
      ),
  },
}

async function main() {
  const client = await SignalWire({
    host: process.env.CORDBOARD_HOST ?? 'ws://127.0.0.1:8080',
    project: process.env.CORDBOARD_PROJECT ?? 'demo',
    token: process.env.CORDBOARD_TOKEN ?? 'demo-token',
  })
  await client.voice.listen({ topics: ['office'], onCallReceived: serve })
  console.log('listening')
}

async function serve(call) {
  try {
    await call.answer()
    const chosen = await choose(call)
    if (chosen) await connect(call, chosen)
  } catch (error) {
    console.log(`${call.from}:`, error.message ?? error)
  }
  await call.hangup().catch(() => {})
}

async function connect(call, { name, devices }) {
  let peer
  try {
    peer = await call.connect(devices())
  } catch (error) {
    console.log(`${name}: ${error.failedReason ?? error.message}`)
    await call.playTTS({ text: 'Nobody is there. Please call again later.' })
    return
  }
  console.log(`${name}: ${peer.to}`)
  await call.disconnected()
  // A peer is a call of its own: it stays when the caller hangs up.  One that has left is not found any more.
  await peer.hangup().catch(() => {})
}

// The department of the key that is pressed; undefined: none was.
async function choose(call) {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const heard = await call
      .promptTTS({
        text: 'For sales press one. For support press two.',
        digits: { max: 1, digitTimeout: 5 },
        initialTimeout: 5,
      })
      .onEnded()
    if (DEPARTMENTS[heard.digits]) return DEPARTMENTS[heard.digits]
  }
  return undefined
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
