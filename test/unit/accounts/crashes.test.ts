import { describe, expect, it } from 'vitest'
import { proveEveryFault, scenarios } from '../../support/ledger/crashes.ts'
import { openMemoryAccountStore } from '../../support/ledger/memory-store.ts'
import { openWorld } from '../../support/ledger/world.ts'

const soon = async () => await Promise.resolve()

function newWorld() {
  const store = openMemoryAccountStore()
  return openWorld({ store, prefix: 'x', processes: 2, random: () => 0.5, pause: soon })
}

describe.each(scenarios)('a process that is struck between two calls of: $name', (scenario) => {
  it('and dies, leaves what the next one brings to the same end', async () => {
    expect(await proveEveryFault(newWorld, scenario, 'Dies')).toBeGreaterThanOrEqual(6)
  })

  it('and is told that the database is away, comes to the same end', async () => {
    expect(await proveEveryFault(newWorld, scenario, 'Fails')).toBeGreaterThanOrEqual(6)
  })
})
