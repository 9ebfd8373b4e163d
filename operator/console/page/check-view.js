import { byId, element } from './dom.js'
import { checkUrl, transportOf } from './relay-check.js'

const PARALLEL = 4

/** Checks every URL of the answer of `/v1/ice` and shows each result as it comes. */
export async function runCheck(ice, certificateHint) {
  const servers = ice.iceServers.flatMap(({ urls, username, credential }) =>
    [urls].flat().map((url) => ({ url, username, credential })),
  )
  const rows = servers.map((server) => pendingRow(server.url))
  byId('result-rows').replaceChildren(...rows.map(({ row }) => row))
  byId('results').hidden = false
  byId('verdict').textContent = `Checking ${servers.length} URLs…`
  const results = []
  const waiting = servers.map((server, index) => ({ server, row: rows[index] }))
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const result = await checkUrl(next.server, certificateHint)
      results.push({ url: next.server.url, ...result })
      showResult(next.row, result)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  byId('verdict').textContent = verdict(results)
  return results
}

function pendingRow(url) {
  const result = element('td', {}, element('span', { class: 'pill' }, 'checking'))
  const connected = element('td', { class: 'number' })
  const roundTrip = element('td', { class: 'number' })
  const way = element('td', {}, element('strong', {}, transportOf(url)))
  const row = element(
    'tr',
    { 'data-url': url },
    way,
    element('td', {}, element('code', {}, url)),
    result,
    connected,
    roundTrip,
  )
  return { row, result, connected, roundTrip }
}

function showResult({ row, result, connected, roundTrip }, { ok, connectMs, roundTripMs, failure }) {
  row.dataset.result = ok ? 'passed' : 'failed'
  result.replaceChildren(element('span', { class: `pill ${ok ? 'good' : 'bad'}` }, ok ? 'works' : 'fails'))
  if (!ok) result.append(element('span', { class: 'detail failure' }, failure))
  connected.textContent = ok ? `${Math.round(connectMs)} ms` : '–'
  roundTrip.textContent = ok ? `${roundTripMs.toFixed(1)} ms` : '–'
}

function verdict(results) {
  if (results.length === 0) return 'There was no URL to check.'
  const ways = ['UDP', 'TCP', 'TLS'].filter((way) => results.some(({ url }) => transportOf(url) === way))
  const works = ways.filter((way) => results.some(({ url, ok }) => ok && transportOf(url) === way))
  const fails = ways.filter((way) => !works.includes(way))
  if (works.length === 0) return 'This browser reaches no relay.'
  const partly = results.some(({ url, ok }) => !ok && works.includes(transportOf(url)))
  const reached = `This browser reaches the fleet over ${list(works, 'and')}`
  if (fails.length > 0) return `${reached}, not over ${list(fails, 'or')}: calls work over what is left.`
  return partly ? `${reached}, but not at every relay.` : `${reached}.`
}

function list(words, joint) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${joint} ${words.at(-1)}`
}
