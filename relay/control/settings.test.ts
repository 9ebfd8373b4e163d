import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { selfSigned } from '../io/testing/certificate.ts'
import { FileWatch } from './file-watch.ts'
import { SettingsFiles } from './settings.ts'

const CONFIG = `
realm: r
listeners: [{protocol: udp, port: 3478}]
relay: {addressesFile: addresses.yaml}
tls: {certFile: tls.crt, keyFile: tls.key}
credentials: {keys: [{id: own, secret: s}], keysFile: keys.yaml}
`
const KEYS = 'keys: [{id: k1, secret: a}]\nnonceKeys: [{id: n1, secret: b}]\n'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'turnfleet-settings-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('the files that a configuration names are merged into it', async (t) => {
  const at = folder(t)
  const pair = await selfSigned('relay.example.org')
  writeFileSync(join(at, 'relay.yaml'), CONFIG)
  writeFileSync(join(at, 'keys.yaml'), KEYS)
  writeFileSync(join(at, 'addresses.yaml'), '- {advertise: 203.0.113.5}\n')
  writeFileSync(join(at, 'tls.crt'), pair.cert)
  writeFileSync(join(at, 'tls.key'), pair.key)
  const { settings, problems, files } = new SettingsFiles(join(at, 'relay.yaml')).load()
  assert.deepEqual(problems, [])
  assert.deepEqual(
    settings.config.credentials.keys.map(({ id }) => id),
    ['own', 'k1'],
  )
  assert.deepEqual(settings.config.nonceKeys, [{ id: 'n1', secret: 'b' }])
  assert.deepEqual(settings.addresses, [{ advertise: '203.0.113.5' }])
  assert.match(settings.certificate!.fingerprint, /^[0-9a-f]{64}$/)
  assert.ok(settings.certificate!.notAfterMs > Date.now())
  assert.deepEqual(
    files.map((file) => file.slice(at.length + 1)),
    ['relay.yaml', 'keys.yaml', 'addresses.yaml', 'tls.crt', 'tls.key'],
  )
})

test('nobody is revoked before there is a file, and a bad one changes nothing', (t) => {
  const at = folder(t)
  const config =
    'realm: r\nlisteners: [{protocol: udp, port: 3478}]\nrelay: {}\ncredentials: {revocationsFile: gone.yaml}\n'
  writeFileSync(join(at, 'relay.yaml'), config)
  const source = new SettingsFiles(join(at, 'relay.yaml'))
  const { settings, problems, files } = source.load()
  assert.deepEqual([settings.revocations, problems], [{ generation: 0, entries: [] }, []])
  assert.ok(files.includes(join(at, 'gone.yaml')))
  writeFileSync(join(at, 'gone.yaml'), 'entries: [{id: a, user: alice, until: "2999-01-01T00:00:00Z"}]\n')
  assert.deepEqual(
    source.load().settings.revocations.entries.map(({ user }) => user),
    ['alice'],
  )
  writeFileSync(join(at, 'gone.yaml'), 'entries: [{id: a, until: "2999-01-01T00:00:00Z"}]\n')
  const bad = source.load()
  assert.equal(bad.settings.revocations.entries.length, 1)
  assert.deepEqual(
    bad.problems.map(({ reason }) => reason),
    ['InvalidRevocations'],
  )
})

test('tokenKeys of the keys file open tokens where third-party authorization is on', (t) => {
  const at = folder(t)
  const key = Buffer.alloc(32, 1).toString('base64')
  writeFileSync(join(at, 'keys.yaml'), `${KEYS}tokenKeys: [{id: north, key: "${key}"}]\n`)
  const load = (thirdParty: string) => {
    const credentials = `{keysFile: keys.yaml${thirdParty}}`
    writeFileSync(
      join(at, 'relay.yaml'),
      `realm: r\nlisteners: [{protocol: udp, port: 3478}]\nrelay: {}\ncredentials: ${credentials}\n`,
    )
    return new SettingsFiles(join(at, 'relay.yaml')).load()
  }
  const { settings, problems } = load(', thirdParty: {serverName: s}')
  assert.deepEqual(problems, [])
  assert.deepEqual(settings.config.credentials.thirdParty?.keys, [{ id: 'north', algorithm: 'A256GCM', key }])
  assert.equal(load('').settings.config.credentials.thirdParty, undefined)
})

test('a realm has a key file of its own, whose last good content stays and whose nonce keys are not used', (t) => {
  const at = folder(t)
  const write = (file: string, text: string) => writeFileSync(join(at, file), text)
  write(
    'relay.yaml',
    'realm: r\nlisteners: [{protocol: udp, port: 3478}]\nrelay: {}\nrealms: [{realm: s, credentials: {keysFile: s.yaml}}]\n',
  )
  write('s.yaml', KEYS)
  const source = new SettingsFiles(join(at, 'relay.yaml'))
  const idsOf = ({ settings }: ReturnType<SettingsFiles['load']>) =>
    settings.config.realms[0]?.credentials.keys.map(({ id }) => id)
  const loaded = source.load()
  assert.deepEqual([idsOf(loaded), loaded.settings.config.nonceKeys, loaded.problems], [['k1'], [], []])
  assert.ok(loaded.files.includes(join(at, 's.yaml')))
  write('s.yaml', 'keys: [{id: k2, secret: c}]\n')
  assert.deepEqual(idsOf(source.load()), ['k2'])
  write('s.yaml', 'keys: []\n')
  const bad = source.load()
  assert.deepEqual([idsOf(bad), bad.problems.map(({ reason }) => reason)], [['k2'], ['InvalidKeys']])
})

test('each file is refused alone and what it last said well stays', async (t) => {
  const at = folder(t)
  const [pair, other] = [await selfSigned('one.example.org'), await selfSigned('two.example.org')]
  const write = (file: string, text: string) => writeFileSync(join(at, file), text)
  write('relay.yaml', CONFIG)
  write('keys.yaml', KEYS)
  write('addresses.yaml', '- {advertise: 203.0.113.5}\n')
  write('tls.crt', pair.cert)
  write('tls.key', pair.key)
  const source = new SettingsFiles(join(at, 'relay.yaml'))
  const good = source.load().settings
  write('relay.yaml', CONFIG.replace('3478', '99999'))
  write('keys.yaml', KEYS.replace('id: k1', 'id: '))
  write('tls.crt', other.cert)
  write('addresses.yaml', '- {advertise: 203.0.113.6}\n')
  const { settings, problems } = source.load()
  assert.deepEqual(settings.config, good.config)
  assert.deepEqual(settings.certificate, good.certificate)
  assert.deepEqual(settings.addresses, [{ advertise: '203.0.113.6' }], 'a good file beside them is taken')
  assert.deepEqual(
    problems.map(({ reason }) => reason),
    ['InvalidConfig', 'InvalidKeys', 'InvalidCertificate'],
  )
  assert.match(problems[0]!.message, /^relay\.yaml:3: listeners\[0\]\.port: /)
  assert.match(problems[1]!.message, /^keys\.yaml:1: keys\[0\]\.id: /)
  assert.match(problems[2]!.message, /the key in .*tls\.key does not belong to the certificate in .*tls\.crt/)
  write('tls.key', other.key)
  write('relay.yaml', CONFIG)
  write('keys.yaml', KEYS)
  assert.deepEqual(source.load().problems, [])
  assert.notEqual(source.load().settings.certificate!.fingerprint, good.certificate!.fingerprint)
})

test('addresses that vanish stay in force', (t) => {
  const at = folder(t)
  writeFileSync(
    join(at, 'relay.yaml'),
    'realm: r\nlisteners: [{protocol: udp, port: 3478}]\nrelay: {addressesFile: addresses.yaml}\n',
  )
  writeFileSync(join(at, 'addresses.yaml'), '')
  const source = new SettingsFiles(join(at, 'relay.yaml'))
  assert.deepEqual([source.load().settings.addresses, source.load().problems], [[], []])
  writeFileSync(join(at, 'addresses.yaml'), '[{"advertise": "203.0.113.5"}]')
  assert.deepEqual(source.load().problems, [])
  writeFileSync(join(at, 'addresses.yaml'), '')
  const { settings, problems } = source.load()
  assert.deepEqual(settings.addresses, [{ advertise: '203.0.113.5' }])
  assert.match(problems[0]!.message, /^addresses\.yaml names no address any more/)
})

test('a first configuration that is bad is refused', (t) => {
  const at = folder(t)
  writeFileSync(join(at, 'relay.yaml'), 'realm: 7\n')
  assert.throws(
    () => new SettingsFiles(join(at, 'relay.yaml')).load(),
    /^FileRefused?.*|relay\.yaml:1: realm: /,
  )
  assert.throws(() => new SettingsFiles(join(at, 'absent.yaml')).load(), /absent\.yaml/)
})

test('a file that is written, replaced or appears is noticed', async (t) => {
  const at = folder(t)
  writeFileSync(join(at, 'a'), '1')
  const watched = watching(t, [join(at, 'a'), join(at, 'b')])
  await watched(() => writeFileSync(join(at, 'a'), '22'))
  await watched(() => {
    writeFileSync(join(at, 'a.tmp'), '33')
    renameSync(join(at, 'a.tmp'), join(at, 'a'))
  })
  await watched(() => writeFileSync(join(at, 'b'), 'new'))
})

test('links that are swapped as Kubernetes swaps ..data are noticed', async (t) => {
  const at = folder(t)
  for (const version of ['..v1', '..v2']) {
    mkdirSync(join(at, version))
    writeFileSync(join(at, version, 'relay.yaml'), 'same size')
  }
  symlinkSync('..v1', join(at, '..data'))
  symlinkSync('..data/relay.yaml', join(at, 'relay.yaml'))
  const watched = watching(t, [join(at, 'relay.yaml')])
  await watched(() => {
    symlinkSync('..v2', join(at, '..data_tmp'))
    renameSync(join(at, '..data_tmp'), join(at, '..data'))
  })
})

test('a change behind a link is noticed by the poll', async (t) => {
  const at = folder(t)
  const elsewhere = folder(t)
  writeFileSync(join(elsewhere, 'real'), '1')
  symlinkSync(join(elsewhere, 'real'), join(at, 'link'))
  const watched = watching(t, [join(at, 'link')], 20)
  await watched(() => writeFileSync(join(elsewhere, 'real'), '22'))
})

function watching(t: TestContext, files: string[], pollMs?: number) {
  let changed = () => {}
  const watch = new FileWatch(() => changed(), pollMs)
  watch.setFiles(files)
  // The watch keeps no process alive; a test that waits for it must.
  const alive = setInterval(() => undefined, 1000)
  t.after(() => {
    watch.close()
    clearInterval(alive)
  })
  return (change: () => void) =>
    new Promise<void>((resolve) => {
      changed = resolve
      change()
    })
}
