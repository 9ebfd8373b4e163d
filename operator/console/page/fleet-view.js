import { byId, element } from './dom.js'

const PILLS = { Ready: 'good', Draining: 'busy', Drained: 'busy', Lost: 'bad' }
/** Bytes relayed as of the last look, by relay, to show a rate. */
const seen = new Map()

/** Shows one cluster as `/v1/clusters` describes it. */
export function showFleet(cluster) {
  byId('fleet-key').textContent = `${cluster.key} · realm ${cluster.realm}`
  const { active, capacity } = cluster.allocations
  const used = capacity > 0 ? Math.round((100 * active) / capacity) : 0
  byId('figures').replaceChildren(
    figure('Relays ready', cluster.ready, `of ${cluster.relays.length}`),
    figure('Allocations', active.toLocaleString(), `of ${capacity.toLocaleString()}`),
    figure('Used', `${used} %`),
  )
  byId('relays').replaceChildren(...cluster.relays.map(relayRow))
  byId('fleet-empty').hidden = cluster.relays.length > 0
}

function figure(name, value, note) {
  const shown = element('dd', {}, String(value))
  if (note) shown.append(' ', element('small', {}, note))
  return element('div', {}, element('dt', {}, name), shown)
}

function relayRow(relay) {
  const state = element('td', {}, element('span', { class: `pill ${PILLS[relay.state] ?? ''}` }, relay.state))
  for (const message of worries(relay)) state.append(element('span', { class: 'detail' }, message))
  const name = element('td', {}, relay.name)
  if (relay.zone) name.append(element('span', { class: 'detail' }, relay.zone))
  return element(
    'tr',
    {},
    name,
    state,
    listeners(relay),
    element(
      'td',
      { class: 'number' },
      `${relay.allocations.toLocaleString()} of ${relay.capacity.toLocaleString()}`,
      element('meter', {
        min: 0,
        max: Math.max(1, relay.capacity),
        high: 0.9 * relay.capacity,
        value: relay.allocations,
        'aria-label': 'share of the capacity',
      }),
    ),
    element('td', { class: 'number' }, rate(relay)),
  )
}

function worries(relay) {
  const messages = relay.problems.map(({ message }) => message)
  if (relay.state !== 'Ready' && relay.check && relay.check.state !== 'passed')
    messages.push(relay.check.message)
  if (relay.reportAgeSeconds > 10) messages.push(`silent for ${Math.round(relay.reportAgeSeconds)} s`)
  return messages
}

function listeners({ addresses, listeners }) {
  const cell = element('td', {})
  for (const address of addresses) cell.append(element('code', {}, address), element('br'))
  cell.append(
    element('span', { class: 'detail' }, listeners.map((l) => `${l.protocol} ${l.port}`).join(' · ')),
  )
  return cell
}

function rate({ uid, bytesTotal = 0 }) {
  const now = performance.now()
  const before = seen.get(uid)
  if (before && before.bytesTotal === bytesTotal && now - before.atMs < 1500) return before.shown
  const bits = before ? (8000 * Math.max(0, bytesTotal - before.bytesTotal)) / (now - before.atMs) : 0
  const shown =
    bits < 1e6 ? `${(bits / 1e3).toFixed(bits < 1e4 ? 1 : 0)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`
  seen.set(uid, { bytesTotal, atMs: now, shown })
  return shown
}
