/**
 * Node's HTTP modules without their face as ES modules: importing that evaluates every export, the WebSocket
 * among them, and with it loads all of fetch, 8 MB that a relay has no use for.
 */
export const http = process.getBuiltinModule('node:http')
export const https = process.getBuiltinModule('node:https')
