import type { Account } from '../../../shared/domain/account.ts'
import type { ChangeContext, Entry } from '../../../shared/domain/account-entry.ts'
import { assert } from '../../../shared/assert.ts'
import type { Facts } from './operation.ts'

/** An operation in the queue: its answer is kept until the change that makes it true is written. */
export type FoldedOperation = {
  /** Decides, remembers the answer and gives the change with its entry, or null. */
  readonly apply: (facts: Facts) => { readonly account: Account; readonly entry: Entry } | null
  /** The decision itself failed: a bug, which must not take its neighbours along. */
  readonly fail: (error: unknown) => void
}

export type FoldInput<Operation> = {
  readonly account: Account
  readonly past: ReadonlyMap<string, Entry>
  readonly operations: readonly Operation[]
  readonly context: ChangeContext
}

export type Folded<Operation> = {
  readonly account: Account
  readonly added: readonly Entry[]
  /** Those whose answers are true once `added` is written. */
  readonly decided: readonly Operation[]
}

/** All operations on one account, one after the other: each sees what those before it changed. */
export function foldOperations<Operation extends FoldedOperation>(
  input: FoldInput<Operation>,
): Folded<Operation> {
  const past = new Map(input.past)
  let { account } = input
  const added: Entry[] = []
  const decided: Operation[] = []
  for (const operation of input.operations) {
    try {
      const change = operation.apply({ account, past, context: input.context })
      if (change !== null) {
        assert(!past.has(change.entry._id), `entry ${change.entry._id} is written once`)
        account = change.account
        past.set(change.entry._id, change.entry)
        added.push(change.entry)
      }
      decided.push(operation)
    } catch (error) {
      operation.fail(error)
    }
  }
  return { account, added, decided }
}
