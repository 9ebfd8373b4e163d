import { turnServerConfig } from '../turn/server-config.ts'
import { hostAddresses, withBinds } from './host-addresses.ts'
import { SettingsFiles } from './settings.ts'

/** Reads a configuration and every file it names; returns a line that sums it up, throws with all that is wrong. */
export function checkSettings(path: string): string {
  const { settings, problems } = new SettingsFiles(path).load()
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join('\n'))
  const { config, addresses } = settings
  turnServerConfig(config, { relayAddresses: withBinds(addresses, hostAddresses()) })
  const listeners = config.listeners.map(
    ({ protocol, address, port }) => `${protocol} ${address ?? '*'}:${port}`,
  )
  return `${path} is good: realm ${config.realm}, ${listeners.join(', ')}, ${addresses.length} public addresses`
}
