import { accountStoreContract } from '../../support/ledger/account-store-contract.ts'
import { openMemoryAccountStore } from '../../support/ledger/memory-store.ts'

accountStoreContract('in memory', async () => await Promise.resolve(openMemoryAccountStore()))
