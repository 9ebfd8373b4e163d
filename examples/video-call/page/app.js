import { Call } from './call.js'

const $ = (id) => document.getElementById(id)
const LOG_LINES_MAX = 200
const STATS_EVERY_MS = 500
/** Fresh credentials are asked for when this part of their life is over. */
const RENEW_AFTER = 0.8
/** `?relays=off` shows what happens without turnfleet. */
const relaysOff = new URLSearchParams(location.search).get('relays') === 'off'

const remote = document.createElement('video')
Object.assign(remote, { id: 'remote', autoplay: true, playsInline: true })
$('local').before(remote)

let socket
let stream
let call
let startedAt
let restarting = false
let renewal

$('join').addEventListener('submit', async (event) => {
  event.preventDefault()
  joined(true)
  startedAt = performance.now()
  stream = await openCamera()
  $('local').srcObject = stream ?? null
  connect($('room').value)
})

$('leave').addEventListener('click', leave)
// Closing the connection gives the relays' ports back at once instead of after ten minutes.
addEventListener('pagehide', leave)

$('chat').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = $('text').value
  if (!text) return
  call.send(text)
  append($('messages'), text, 'mine')
  $('text').value = ''
})

setInterval(showStatistics, STATS_EVERY_MS)

function connect(room) {
  socket = new WebSocket(new URL('/signalling', location.href.replace(/^http/, 'ws')))
  socket.onopen = () => say({ type: 'join', room })
  socket.onclose = ({ code, reason }) => {
    log(`signalling closed: ${code} ${reason}`)
    if (!call && $('join').elements[0].disabled)
      show('closed', 'The server closed the connection: load the page again.')
  }
  // One at a time: a candidate must not overtake the description it belongs to.
  let queue = Promise.resolve()
  socket.onmessage = ({ data }) => {
    queue = queue.then(() => handle(JSON.parse(data))).catch((error) => log(String(error)))
  }
}

async function handle(message) {
  if (message.type === 'waiting') show('waiting', 'Waiting for the other person.')
  else if (message.type === 'start') start(message)
  else if (message.type === 'signal') await call?.receive(message.signal)
  else if (message.type === 'ice') takeServers(message)
  else if (message.type === 'peer-left') end('waiting', 'The other person left. Waiting for the next one.')
  else if (message.type === 'error') end('error', message.message)
}

function start({ iceServers, ttl, polite }) {
  show('connecting', 'Connecting…')
  call = new Call({
    iceServers: relaysOff ? [] : iceServers,
    polite,
    stream,
    signal: (signal) => say({ type: 'signal', signal }),
  })
  log(relaysOff ? 'relays are off' : `relays: ${iceServers.flatMap(({ urls }) => urls).join(', ')}`)
  scheduleRenewal(ttl)
  call.addEventListener('remote-stream', ({ detail }) => {
    remote.srcObject = detail
  })
  call.addEventListener('trouble', ({ detail }) => log(detail))
  call.addEventListener('open', () => enableChat(true))
  call.addEventListener('text', ({ detail }) => append($('messages'), detail, 'theirs'))
  call.addEventListener('state', ({ detail }) => follow(detail))
}

function follow(state) {
  $('connection').textContent = state
  log(state)
  if (state === 'connected') {
    restarting = false
    if (startedAt) $('elapsed').textContent = `${Math.round(performance.now() - startedAt)} ms`
    startedAt = undefined
    show('connected', '')
  } else if (state === 'disconnected') {
    show('reconnecting', 'The connection is interrupted…')
  } else if (state === 'failed') {
    show('failed', 'No path to the other person: trying again with fresh relays.')
    restarting = true
    say({ type: 'refresh' })
  }
}

function takeServers({ iceServers, ttl }) {
  if (!call || relaysOff) return
  if (restarting) call.restart(iceServers)
  else call.renew(iceServers)
  scheduleRenewal(ttl)
}

function scheduleRenewal(ttlSeconds) {
  clearTimeout(renewal)
  renewal = setTimeout(() => say({ type: 'refresh' }), ttlSeconds * 1000 * RENEW_AFTER)
}

function end(state, text) {
  clearTimeout(renewal)
  call?.close()
  call = undefined
  startedAt = undefined
  remote.srcObject = null
  enableChat(false)
  $('connection').textContent = 'closed'
  show(state, text)
}

function leave() {
  end('idle', 'You have left the room.')
  socket?.close()
  for (const track of stream?.getTracks() ?? []) track.stop()
  $('local').srcObject = null
  joined(false)
}

function joined(is) {
  for (const element of $('join').elements) element.disabled = is
  $('leave').disabled = false
  $('leave').hidden = !is
}

async function openCamera() {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: true, audio: true })
  } catch (error) {
    log(`no camera: ${error}`)
    return undefined
  }
}

async function showStatistics() {
  const pair = await call?.selectedPair()
  if (!pair) return
  describe($('local-candidate'), pair.local)
  describe($('remote-candidate'), pair.remote)
  count($('sent'), pair.bytesSent)
  count($('received'), pair.bytesReceived)
}

function describe(element, candidate) {
  const { candidateType, relayProtocol, protocol, url } = candidate ?? {}
  element.textContent =
    candidateType === 'relay' && relayProtocol
      ? `relay over ${relayProtocol.toUpperCase()} (${url})`
      : `${candidateType ?? '?'} ${protocol ?? ''}`
  Object.assign(element.dataset, {
    type: candidateType ?? '',
    relayProtocol: relayProtocol ?? '',
    url: url ?? '',
  })
}

function count(element, bytes) {
  element.textContent = bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
  element.dataset.bytes = bytes
}

function show(state, text) {
  $('state').dataset.state = state
  $('state').textContent = text
}

function enableChat(enabled) {
  $('text').disabled = !enabled
  $('send').disabled = !enabled
}

function say(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
}

function log(text) {
  append($('log'), text)
}

function append(list, text, className = '') {
  const item = document.createElement('li')
  item.textContent = text
  item.className = className
  list.append(item)
  while (list.children.length > LOG_LINES_MAX) list.firstChild.remove()
  item.scrollIntoView({ block: 'nearest' })
}
