import { createHash } from 'node:crypto'
import {
  access,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command } from './command.ts'
import { withLock } from './lock.ts'

/**
 * Container images without a registry, as archives in a cache outside the checkout: `node images.ts` builds
 * them. The base image (Debian, this checkout's Node, this machine's npm) stands in for the one that the
 * Dockerfile names by default, so that the real Dockerfile is what gets built.
 */

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'turnfleet', 'images')
const BUILD_TIMEOUT_MS = 240_000
const ARCHIVES_KEPT = 3
const DEBIAN = 'bookworm'
const PACKAGES =
  'base-files,dash,coreutils,libc6,libstdc++6,libgcc-s1,libcap2-bin,util-linux,netbase,tzdata,busybox-static'
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'
const BASE_IMAGE = 'registry.local/node:24'
const PAUSE_IMAGE = 'registry.local/pause:1'
/** What the images are made of, besides the base. */
const SOURCES = ['Dockerfile', '.dockerignore', 'package.json', 'package-lock.json', 'operator', 'relay']

export interface Images {
  /** Archives that a node loads. */
  archives: string[]
  operator: string
  relay: string
}

/** Builds what is not in the cache or has changed. */
export async function buildImages(): Promise<Images> {
  await mkdir(CACHE, { recursive: true })
  return withLock(join(CACHE, 'lock'), build)
}

async function build(): Promise<Images> {
  const npm = dirname(dirname(await realpath((await command('which', ['npm'])).trim())))
  const base = hash(DEBIAN, PACKAGES, process.version, await readFile(join(npm, 'package.json')))
  await cached(`base-${base}`, (archive) => buildBase(npm, archive))
  const pause = await cached(`pause-${base}`, buildPause)
  const tag = hash(base, ...(await contents(SOURCES.map((name) => join(CHECKOUT, name)))))
  const reference = (target: string) => `registry.local/turnfleet-${target}:${tag}`
  const target = (name: string) =>
    cached(`${name}-${tag}`, (archive) => buildTarget(name, reference(name), archive))
  const archives = [pause, await target('relay'), await target('operator')]
  return { archives, operator: reference('operator'), relay: reference('relay') }
}

async function buildBase(npm: string, archive: string): Promise<void> {
  await inTemporaryDirectory(async (directory) => {
    const rootfs = join(directory, 'rootfs.tar')
    await buildah(['rmi', '--all', '--force'])
    await command('mmdebstrap', ['-q', '--variant=extract', `--include=${PACKAGES}`, DEBIAN, rootfs], {
      timeoutMs: BUILD_TIMEOUT_MS,
    })
    await copyFile(process.execPath, join(directory, 'node'))
    await copyFile(CA_BUNDLE, join(directory, 'ca-certificates.crt'))
    await cp(npm, join(directory, 'npm'), { recursive: true })
    const registry = (await command('npm', ['config', 'get', 'registry'])).trim()
    await writeFile(join(directory, 'npmrc'), `registry=${registry}\ncafile=${CA_BUNDLE}\n`)
    await writeFile(
      join(directory, 'Dockerfile'),
      `FROM scratch
ADD rootfs.tar /
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY ca-certificates.crt ${CA_BUNDLE}
COPY npmrc /usr/local/etc/npmrc
RUN echo root:x:0:0:root:/root:/bin/sh > /etc/passwd && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
`,
    )
    await bud(['-t', BASE_IMAGE, directory])
    await save(BASE_IMAGE, archive)
  })
}

/** The container that holds a pod's namespaces: all it does is wait. */
async function buildPause(archive: string): Promise<void> {
  await inTemporaryDirectory(async (directory) => {
    await writeFile(
      join(directory, 'Dockerfile'),
      `FROM scratch\nCOPY --from=${BASE_IMAGE} /bin/busybox /busybox\nENTRYPOINT ["/busybox", "sleep", "infinity"]\n`,
    )
    await bud(['-t', PAUSE_IMAGE, directory])
    await save(PAUSE_IMAGE, archive)
  })
}

async function buildTarget(target: string, reference: string, archive: string): Promise<void> {
  const npmCache = (await command('npm', ['config', 'get', 'cache'])).trim()
  await mkdir(npmCache, { recursive: true })
  await bud([
    ...['--build-arg', `BASE=${BASE_IMAGE}`, '--target', target, '-t', reference],
    // What `npm ci` of the checkout has fetched already.
    ...['--volume', `${npmCache}:/root/.npm:rw`],
    CHECKOUT,
  ])
  await save(reference, archive)
}

function bud(args: string[]): Promise<string> {
  return buildah(['bud', '-q', '--layers', '--isolation', 'chroot', '--network', 'host', ...args])
}

async function save(reference: string, archive: string): Promise<void> {
  await buildah(['push', '-q', reference, `docker-archive:${archive}:${reference}`])
}

function buildah(args: string[]): Promise<string> {
  const storage = ['--root', join(CACHE, 'storage'), '--runroot', join(CACHE, 'run')]
  return command('buildah', [...storage, '--storage-driver', 'overlay', ...args], {
    timeoutMs: BUILD_TIMEOUT_MS,
  })
}

/** Path of an archive, made where it is not there; another run may still load the ones made last. */
async function cached(name: string, make: (archive: string) => Promise<void>): Promise<string> {
  const archive = join(CACHE, `${name}.tar`)
  if (await exists(archive)) return archive
  await make(`${archive}.part`)
  await rename(`${archive}.part`, archive)
  const kind = `${name.split('-')[0]}-`
  const made = await Promise.all(
    (await readdir(CACHE))
      .filter((file) => file.startsWith(kind))
      .map(async (file) => ({ file, atMs: (await stat(join(CACHE, file))).mtimeMs })),
  )
  const old = made.sort((a, b) => b.atMs - a.atMs).slice(ARCHIVES_KEPT)
  for (const { file } of old) await rm(join(CACHE, file))
  return archive
}

/** Contents of files and, in a fixed order, of the files below directories; tests are in no image. */
async function contents(paths: string[]): Promise<(string | Buffer)[]> {
  const found: (string | Buffer)[] = []
  for (const path of paths) {
    if ((await stat(path)).isDirectory()) {
      const names = (await readdir(path)).sort().filter((name) => !name.endsWith('.test.ts'))
      found.push(...(await contents(names.map((name) => join(path, name)))))
    } else {
      found.push(path.slice(CHECKOUT.length), await readFile(path))
    }
  }
  return found
}

function hash(...parts: (string | Buffer)[]): string {
  const digest = createHash('sha256')
  for (const part of parts) digest.update(`${part.length}:`).update(part)
  return digest.digest('hex').slice(0, 12)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function inTemporaryDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'turnfleet-image-'))
  try {
    await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

if (import.meta.main) console.log(JSON.stringify(await buildImages()))
