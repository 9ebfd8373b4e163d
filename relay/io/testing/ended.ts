import type { Socket } from 'node:net'

/** Resolves once a socket is closed, also where the other side resets it because something was left unread. */
export function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {})
    socket.once('close', () => resolve())
  })
}
