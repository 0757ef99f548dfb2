// The programs that the tests run, as users of the SDK would write them.
'use strict'

const { Playlist, connect, failure, go, isV4, operation, options, plan, say } = require('./sdk.cjs')

const about = (call) => ({
  id: call.id,
  state: call.state,
  type: call.type,
  from: call.from,
  to: call.to,
  direction: call.direction,
})

const programs = {
  // The documented connectSip program, with what it says between its lines.
  async seed() {
    await connect({
      contexts: ['office'],
      onCall: async (call) => {
        await call.answer()
        say('answered', about(call))
        const peer = await call.connectSip({
          from: options.from,
          to: options.to,
          timeout: 30,
          headers: [
            { name: 'X-SomeKeyA', value: 'SomeValueA' },
            { name: 'X-SomeKeyB', value: 'SomeValueB' },
          ],
        })
        say('connected', { peer: peer.id })
        await call.playTTS({ text: 'You are peer 1' })
        await peer.playTTS({ text: 'You are peer 2' })
        say('played')
        await call.disconnected()
        say('disconnected')
        await call.playTTS({ text: 'The peer disconnected' })
        say('played again')
        await call.hangup()
        say('over')
      },
    })
    say('ready')
  },

  // Takes calls, answers or rejects them.
  async inbound() {
    await connect({
      contexts: ['office'],
      onCall: async (call) => {
        say('offered', { ...about(call), context: call.context, headers: call.headers })
        if (options.reject) {
          await call.hangup(options.reject)
          say('over')
          return
        }
        await call.answer()
        say('answered', { state: call.state })
        if (options.wait) await call.waitFor('ended')
        else await call.hangup()
        say('over', { state: call.state })
      },
    })
    say('ready')
  },

  // Dials, plays a tone to who answers, hangs up.
  async dial() {
    const client = await connect()
    await ready(client)
    try {
      const call = await client.dial(plan(options.devices))
      say('answered', about(call))
      const playing = await operation(call.playAudio({ url: options.url }))
      await playing.ended()
      await go()
      await call.hangup()
      say('over', { state: call.state })
    } catch (error) {
      say('failed', failure(error))
    }
  },

  // Answers and connects; waits for the end of the bridge.
  async connect() {
    await connect({
      contexts: ['office'],
      onCall: async (call) => {
        await call.answer()
        try {
          const peer = await call.connect(plan(options.devices))
          say('connected', { peer: peer.id, call: call.id, to: peer.to })
          if (options.leave) {
            await go()
            await call.disconnect()
          } else {
            await call.disconnected()
          }
          say('disconnected', { state: call.state })
          await go()
          if (options.leave) await peer.hangup()
          await call.hangup()
          say('over')
        } catch (error) {
          say('failed', failure(error))
          await call.hangup()
          say('over')
        }
      },
    })
    say('ready')
  },

  // One operation of each kind on a call that it dials.
  async play() {
    const call = await dialled()
    const playing = await operation(
      call.play(
        isV4
          ? { playlist: new Playlist({ volume: 2 }).add(Playlist.Audio({ url: options.url })) }
          : new Playlist({ volume: 2 }).add(Playlist.Audio({ url: options.url }))
      )
    )
    say('playing')
    await go()
    await playing.it.pause()
    say('paused')
    await go()
    await playing.it.resume()
    say('resumed')
    await playing.it.setVolume(-3)
    await go()
    await playing.it.stop()
    await playing.ended()
    say('stopped', { state: playing.it.state })
    await finish(call)
  },

  async prompt() {
    const call = await dialled()
    const asking = await operation(
      call.promptTTS({
        text: 'Please enter your number',
        digits: { max: 4, digitTimeout: 5, terminators: '#*' },
      })
    )
    say('asking')
    const heard = await asking.ended()
    say('heard', { type: heard.type, digits: heard.digits, terminator: heard.terminator })
    await finish(call)
  },

  async record() {
    const call = await dialled()
    const recording = await operation(call.recordAudio({ format: 'wav', direction: 'speak', terminators: '#' }))
    say('recording')
    await go()
    await recording.it.stop()
    await recording.ended()
    say('recorded', {
      state: recording.it.state,
      url: recording.it.url,
      size: recording.it.size,
      duration: recording.it.duration,
    })
    await finish(call)
  },

  async collect() {
    const call = await dialled()
    const collecting = await operation(
      call.collect({
        digits: { max: 3, digitTimeout: 5, terminators: '#' },
        initialTimeout: 10,
        partialResults: true,
        sendStartOfInput: true,
        startInputTimers: true,
      })
    )
    say('collecting')
    const heard = await collecting.ended()
    say('heard', { type: heard.type, digits: heard.digits, terminator: heard.terminator })
    await finish(call)
  },

  async detect() {
    const call = await dialled()
    const detecting = await operation(call.detectDigit({ digits: '12', timeout: 1.5 }))
    say('detecting')
    const heard = await detecting.ended()
    say('detected', { type: heard.type, result: heard.result ?? heard.detect?.params?.event })
    await finish(call)
  },

  async tap() {
    const call = await dialled()
    const tapping = await operation(
      call.tapAudio({ direction: 'both', device: { type: 'ws', uri: options.uri, codec: 'PCMU', rate: 8000 } })
    )
    say('tapping')
    await go()
    await tapping.it.stop()
    say('stopped')
    await finish(call)
  },

  async sendDigits() {
    const call = await dialled()
    await call.sendDigits('1w2#')
    say('sent')
    await finish(call)
  },

  // Two dials, one after the other, whatever happens to the socket between.
  async redial() {
    const client = await connect({ contexts: ['office'], onCall: async (call) => {
      await call.answer()
      say('answered', about(call))
      await call.waitFor('ended')
      say('ended')
    } })
    await ready(client)
    say('ready')
    for (;;) {
      await go()
      try {
        const call = await client.dial(plan(options.devices))
        say('dialled', about(call))
        await call.hangup()
        say('over')
      } catch (error) {
        say('failed', failure(error))
      }
    }
  },
}

// The first request of a 3.x client waits for its session by itself; there is nothing to do for either.
async function ready() {}

async function dialled() {
  const client = await connect()
  await ready(client)
  const call = await client.dial(plan(options.devices))
  say('answered', about(call))
  return call
}

async function finish(call) {
  await go()
  await call.hangup()
  say('over')
}

process.on('unhandledRejection', (error) => {
  say('unhandled', failure(error))
  process.exit(1)
})

programs[options.program]().catch((error) => {
  say('thrown', failure(error))
  process.exit(1)
})
