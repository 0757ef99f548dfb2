// Answers a call, connects it with a SIP phone, and speaks to both: @signalwire/realtime-api 4.x.
//
//     npm install @signalwire/realtime-api@4.2.1
//     node connect-sip-v4.cjs
'use strict'

const { SignalWire } = require('@signalwire/realtime-api')

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
  let peer
  try {
    await call.answer()
    peer = await call.connectSip({
      from: 'sip:office@example.com',
      to: 'sip:alice@phones.test',
      timeout: 30,
      headers: [
        { name: 'X-SomeKeyA', value: 'SomeValueA' },
        { name: 'X-SomeKeyB', value: 'SomeValueB' },
      ],
    })
    console.log('connected with', peer.to)
    // In 4.x the promise itself is resolved when the playing has ended.
    await call.playTTS({ text: 'You are peer 1' }).onStarted()
    await peer.playTTS({ text: 'You are peer 2' }).onStarted()
    await call.disconnected()
    console.log('apart')
    await call.playTTS({ text: 'The peer disconnected' })
  } catch (error) {
    console.error(error)
  }
  // A peer is a call of its own: it stays when the caller hangs up.  One that has left is not found any more.
  for (const one of [call, peer]) await one?.hangup().catch(() => {})
  console.log('over')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
