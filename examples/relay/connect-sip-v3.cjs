// Answers a call, connects it with a SIP phone, and speaks to both: @signalwire/realtime-api 3.x.
//
//     npm install @signalwire/realtime-api@3.13.0
//     node connect-sip-v3.cjs
'use strict'

const { Voice } = require('@signalwire/realtime-api')

const client = new Voice.Client({
  host: process.env.CORDBOARD_HOST ?? 'ws://127.0.0.1:8080',
  project: process.env.CORDBOARD_PROJECT ?? 'demo',
  token: process.env.CORDBOARD_TOKEN ?? 'demo-token',
  contexts: ['office'],
})

client.on('call.received', async (call) => {
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
    // In 3.x these are resolved when the playing begins.
    await call.playTTS({ text: 'You are peer 1' })
    await peer.playTTS({ text: 'You are peer 2' })
    await call.disconnected()
    console.log('apart')
    const playback = await call.playTTS({ text: 'The peer disconnected' })
    await playback.ended()
  } catch (error) {
    console.error(error)
  }
  // A peer is a call of its own: it stays when the caller hangs up.  One that has left is not found any more.
  for (const one of [call, peer]) await one?.hangup().catch(() => {})
  console.log('over')
})
