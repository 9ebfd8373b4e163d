import { describe } from 'node:test'
import type { RelayIo } from './io.ts'
import { datagramTests } from './testing/datagram-tests.ts'
import { lifecycleTests } from './testing/lifecycle-tests.ts'
import { peerErrorTests } from './testing/peer-error-tests.ts'
import { proxyTests } from './testing/proxy-tests.ts'
import { spliceTests } from './testing/splice-tests.ts'
import { streamLimitTests } from './testing/stream-limit-tests.ts'
import { streamTests } from './testing/stream-tests.ts'
import { tcpPeerTests } from './testing/tcp-peer-tests.ts'
import { tlsTests } from './testing/tls-tests.ts'
import { trafficClassTests } from './testing/traffic-class-tests.ts'

/** What every implementation of RelayIo must do; called from the test file of each. */
export function describeRelayIo(name: string, create: () => RelayIo): void {
  describe(`${name} as RelayIo`, { timeout: 30_000 }, () => {
    datagramTests(create)
    trafficClassTests(create)
    peerErrorTests(create)
    streamTests(create)
    streamLimitTests(create)
    tlsTests(create)
    proxyTests(create)
    tcpPeerTests(create)
    spliceTests(create, 'tcp')
    spliceTests(create, 'tls')
    lifecycleTests(create)
  })
}
