// Calls somebody, finds out whether a person or a machine is there: @signalwire/realtime-api 4.x.
//
//     npm install @signalwire/realtime-api@4.2.1
//     node amd-v4.cjs sip:alice@phones.test
'use strict'

const { SignalWire } = require('@signalwire/realtime-api')

async function main(to) {
  const client = await SignalWire({
    host: process.env.CORDBOARD_HOST ?? 'ws://127.0.0.1:8080',
    project: process.env.CORDBOARD_PROJECT ?? 'demo',
    token: process.env.CORDBOARD_TOKEN ?? 'demo-token',
  })
  try {
    const call = await client.voice.dialSip({ from: 'sip:office@example.com', to, timeout: 30 })
    const detected = await call.amd({ detectMessageEnd: true, timeout: 30 }).onEnded()
    // The last word counts here: of a machine that takes messages now that is READY.
    const who = detected.result === 'READY' ? 'MACHINE' : detected.result
    console.log(`${to}: ${who}`)
    await call.playTTS({ text: 'This is a reminder of your appointment tomorrow at ten.' })
    await call.hangup()
    console.log('over')
  } catch (error) {
    console.log(`${to}: ${error.reason ?? error.message}`)
  }
  client.disconnect()
}

main(process.argv[2]).catch((error) => {
  console.error(error)
  process.exit(1)
})
