import { runCheck } from './check-view.js'
import { byId, element } from './dom.js'
import { showFleet } from './fleet-view.js'

const LOOK_EVERY_MS = 2000

let clusters = []

async function askJson(path, options) {
  const response = await fetch(path, options)
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error?.message ?? `the operator answered ${response.status}`)
  return answer
}

function chosen() {
  return clusters.find(({ key }) => key === byId('cluster').value) ?? clusters[0]
}

function askIce() {
  const cluster = chosen()
  return askJson('/v1/ice', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(cluster ? { cluster: cluster.key, user: 'console' } : {}),
  })
}

async function look() {
  const connection = byId('connection')
  try {
    clusters = (await askJson('/v1/clusters')).clusters
    showChoice()
    const cluster = chosen()
    if (cluster) showFleet(cluster)
    connection.textContent = 'live'
    connection.className = 'pill good'
  } catch (error) {
    connection.textContent = error instanceof TypeError ? 'the operator does not answer' : error.message
    connection.className = 'pill bad'
  }
}

function showChoice() {
  const select = byId('cluster')
  const keys = clusters.map(({ key }) => key)
  const shown = [...select.options].map(({ value }) => value)
  if (keys.join() === shown.join()) return
  const before = select.value
  select.replaceChildren(...keys.map((key) => element('option', { value: key }, key)))
  if (keys.includes(before)) select.value = before
  byId('cluster-choice').hidden = keys.length < 2
}

async function check() {
  const button = byId('run')
  button.disabled = true
  try {
    await runCheck(await askIce(), chosen()?.certificateHint)
  } catch (error) {
    byId('verdict').textContent = error.message
  } finally {
    button.disabled = false
    button.textContent = 'Run it again'
  }
}

async function showIce() {
  try {
    const { iceServers, ttl } = await askIce()
    const text = JSON.stringify(iceServers, null, 2)
    byId('ice-text').textContent = `// good for ${duration(ttl)}\nconst iceServers = ${text}`
  } catch (error) {
    byId('ice-text').textContent = error.message
  }
  byId('ice').hidden = false
}

function duration(seconds) {
  return seconds >= 7200 ? `${Math.floor(seconds / 3600)} hours` : `${Math.floor(seconds / 60)} minutes`
}

async function lookAgain() {
  if (!document.hidden) await look()
  setTimeout(lookAgain, LOOK_EVERY_MS)
}

byId('run').addEventListener('click', check)
byId('fetch-ice').addEventListener('click', showIce)
byId('copy-ice').addEventListener('click', () => navigator.clipboard.writeText(byId('ice-text').textContent))
byId('cluster').addEventListener('change', look)
await lookAgain()
if (location.hash === '#check') await check()
