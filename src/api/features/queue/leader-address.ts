import { unlessNotFound } from '../../../platform/kube/errors.ts'
import { type KubeClient, scopedClient } from '../../../platform/kube/client.ts'
import { getObject } from '../../../platform/kube/objects.ts'
import { type Lease, leases } from '../../../platform/kube/resources.ts'
import type { Clock } from '../../../shared/clock.ts'
import { annotations, controllerLease, systemNamespace } from '../../../shared/names.ts'

/** Where the controller that leads is to be asked. */
export type LeaderAddress = {
  /** `host:port`; null when nobody leads, or only one that cannot be asked. */
  readonly find: () => Promise<string | null>
  /** The next look reads the Lease again. */
  readonly forget: () => void
}

export type LeaderAddressOptions = {
  readonly kube: KubeClient
  readonly clock: Clock
  readonly timeoutMs: number
  /** How long a leader is believed to be where it was. */
  readonly ageMsMax: number
}

/** Reads the Lease once for all who ask at the same time, and remembers it for a moment. */
export function openLeaderAddress(options: LeaderAddressOptions): LeaderAddress {
  const { clock, ageMsMax } = options
  let reading: Promise<string | null> | undefined
  let untilMs = -Infinity
  return {
    find: async () => {
      if (reading === undefined || clock.nowMs() >= untilMs) {
        reading = readAddress(options)
        untilMs = clock.nowMs() + ageMsMax
      }
      return await reading
    },
    forget: () => {
      reading = undefined
    },
  }
}

async function readAddress({ kube, timeoutMs }: LeaderAddressOptions): Promise<string | null> {
  const ref = { namespace: systemNamespace, name: controllerLease }
  const lease = await getObject(scopedClient(kube, { timeoutMs }), leases, ref).catch(
    unlessNotFound,
  )
  return addressIn(lease)
}

const hostAndPort = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$/

/** One that was given back names nobody. */
function addressIn(lease: Lease | undefined): string | null {
  const address = lease?.metadata.annotations?.[annotations.leaderAddress] ?? ''
  const isHeld = (lease?.spec?.holderIdentity ?? '') !== ''
  return isHeld && hostAndPort.test(address) ? address : null
}
