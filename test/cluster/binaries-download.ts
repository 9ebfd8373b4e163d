import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type BinaryName, HELM_VERSION } from './binaries-choice.ts'

const run = promisify(execFile)
const DOWNLOAD_TIMEOUT_MS = 10 * 60_000

/** The newest envtest release of this minor version; the programs beside it are of the same patch version. */
const ENVTEST_VERSION = '1.34.1'
/** SHA-512 of the archives, from `envtest-releases.yaml` of kubernetes-sigs/controller-tools v0.20.0. */
const ENVTEST_SHA512: Readonly<Record<string, string>> = {
  'darwin-amd64':
    'd9e0464dc1708c36ab41147b5e364c8b8e201eafc14c299dcbe58ebeaa82c651b8e834647167a951ded8c6d08c616aadbae1673a54743f9c8fa15a278c78c0c0',
  'darwin-arm64':
    '43d7c10b74100d20044df7c73be03e26f8243a9cb7c1d3035e581ee7bb0c7ffcaf759b9e182186b5bb2f47d1608835414ca443181a02d9ecb6c9cf04b43e3809',
  'linux-amd64':
    'c5e7c237ae18a8c65d0df1214b864ecd19aa9ff4f1383dbd477c202546d778c0f74efe15750ec38f57d8de26ba17cd62f404446cdd3c975399a5d4589de35cdd',
  'linux-arm64':
    'bf13d2456183e66d084e28e1c9eed6a408fb77a06d8d1fd0461a7d9bc0c90b63d29ea67870b28f80d1f992acb026007d6f43987753c859c81d6a78bc1ca2c903',
}
const IN_ENVTEST: readonly string[] = ['etcd', 'kube-apiserver', 'kubectl']

/** Where files are fetched from; tests put a server of their own here. */
export interface Origins {
  envtest: string
  kubernetes: string
  helm: string
  envtestSha512: Readonly<Record<string, string>>
}

export const PUBLIC_ORIGINS: Origins = {
  envtest: 'https://github.com/kubernetes-sigs/controller-tools/releases/download',
  kubernetes: 'https://dl.k8s.io/release',
  helm: 'https://get.helm.sh',
  envtestSha512: ENVTEST_SHA512,
}

/**
 * Fetches the named programs into `directory`: those of envtest from its archive against the SHA-512 kept here,
 * the other servers and Helm from where they are published against the SHA-256 published beside them.
 */
export async function downloadBinaries(
  names: readonly BinaryName[],
  directory: string,
  machine: { os: string; architecture: string },
  origins: Origins = PUBLIC_ORIGINS,
): Promise<void> {
  const work = await mkdtemp(join(directory, '.download-'))
  const platform = `${machine.os}-${machine.architecture}`
  try {
    const envtest = names.filter((name) => IN_ENVTEST.includes(name))
    if (envtest.length > 0) await fetchEnvtest(platform, work, origins)
    for (const name of names.filter((one) => !IN_ENVTEST.includes(one))) {
      if (name === 'helm') await fetchHelm(platform, work, origins)
      else await fetchServer(name, machine, work, origins)
    }
    for (const name of names) {
      await chmod(join(work, name), 0o755)
      await rename(join(work, name), join(directory, name))
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function fetchEnvtest(platform: string, work: string, origins: Origins): Promise<void> {
  const url = `${origins.envtest}/envtest-v${ENVTEST_VERSION}/envtest-v${ENVTEST_VERSION}-${platform}.tar.gz`
  const archive = await fetchVerified(url, 'sha512', origins.envtestSha512[platform] ?? '')
  await unpack(archive, work, 2)
}

async function fetchServer(
  name: string,
  { os, architecture }: { os: string; architecture: string },
  work: string,
  origins: Origins,
): Promise<void> {
  const url = `${origins.kubernetes}/v${ENVTEST_VERSION}/bin/${os}/${architecture}/${name}`
  const [expected = ''] = (await fetchBytes(`${url}.sha256`)).toString().split(/\s/)
  await writeFile(join(work, name), await fetchVerified(url, 'sha256', expected))
}

async function fetchHelm(platform: string, work: string, origins: Origins): Promise<void> {
  const url = `${origins.helm}/helm-v${HELM_VERSION}-${platform}.tar.gz`
  const [expected = ''] = (await fetchBytes(`${url}.sha256sum`)).toString().split(/\s/)
  await unpack(await fetchVerified(url, 'sha256', expected), work, 1)
}

async function unpack(archive: Buffer, work: string, strip: number): Promise<void> {
  const file = join(work, 'archive.tar.gz')
  await writeFile(file, archive)
  await run('tar', ['-xzf', file, '-C', work, `--strip-components=${strip}`])
}

async function fetchVerified(url: string, algorithm: 'sha256' | 'sha512', expected: string): Promise<Buffer> {
  const bytes = await fetchBytes(url)
  const found = createHash(algorithm).update(bytes).digest('hex')
  if (found !== expected) throw new Error(`${url} has ${algorithm} ${found}, not ${expected}`)
  return bytes
}

async function fetchBytes(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) }).catch(
    (error: Error) => {
      throw new Error(`${url}: ${error.cause instanceof Error ? error.cause.message : error.message}`)
    },
  )
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}
