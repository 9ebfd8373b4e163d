import type { TcpPeers } from '../tcp-peers.ts'
import type { Loop } from './loop.ts'

/** TCP peers on Node's own sockets, which its loop has to see to after a turn that touched them. */
export function onNodeLoop(peers: TcpPeers, loop: Loop): TcpPeers {
  return {
    listen(relay, bind) {
      peers.listen(relay, bind)
      loop.nodeHasWork()
    },
    connect(connection, relay, to) {
      peers.connect(connection, relay, to)
      loop.nodeHasWork()
    },
    splice(connection, link) {
      peers.splice(connection, link)
      loop.nodeHasWork()
    },
    close(connection) {
      peers.close(connection)
      loop.nodeHasWork()
    },
  }
}
