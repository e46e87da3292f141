import { createHash } from 'node:crypto'

/**
 * A loopback address of the pod's own, 127.16.0.1 to 127.239.255.254, computed from its uid so
 * that several agents on one machine seldom collide; another one when it is taken.
 */
export function choosePodAddress(uid: string, taken: ReadonlySet<string>): string {
  for (let attempt = 0; ; attempt += 1) {
    const [a = 0, b = 0, c = 0] = createHash('sha256').update(`${attempt} ${uid}`).digest()
    const address = `127.${16 + (a % 224)}.${b}.${1 + (c % 254)}`
    if (!taken.has(address)) return address
  }
}
