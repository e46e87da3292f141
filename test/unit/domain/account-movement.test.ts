import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  type Account,
  accountFaults,
  accountLimits,
  emptyAccount,
  withPieces,
} from '../../../src/shared/domain/account.ts'
import { endHold, holdCredits, lapseCredits } from '../../../src/shared/domain/account-change.ts'
import {
  type Change,
  type ChangeContext,
  creditedTo,
  type Entry,
  sides,
} from '../../../src/shared/domain/account-entry.ts'
import {
  adjustCredits,
  issueCredits,
  type Recipient,
  receiveCredits,
  recipientsOf,
  sendCredits,
  takenBy,
} from '../../../src/shared/domain/account-movement.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const at = (nowMs: number): ChangeContext => ({ nowMs, hash })
const note = { by: 'u-admin', reason: 'a test' }
const [department, ann, ben] = ['department:d', 'member:d:ann', 'member:d:ben']

function issued(account: Account, issueId: string, lot: readonly [number, number | null]): Account {
  const [microCredits, expiresMs] = lot
  const change = issueCredits(account, { issueId, microCredits, expiresMs, note }, at(0))
  if (change === null) throw new Error('the account takes one more lot')
  expect(accountFaults(change.account)).toEqual([])
  return change.account
}

/** 5 that lapse at 100, 7 that lapse at 900 and 9 that never do. */
function rich(): Account {
  const sooner = issued(issued(emptyAccount(department), 'never', [9, null]), 'late', [7, 900])
  return issued(sooner, 'soon', [5, 100])
}

function sent(account: Account, recipients: readonly Recipient[], nowMs = 1): Change {
  const request = { transferId: 't', kind: 'Distribute', recipients, note } as const
  const decision = sendCredits(account, request, at(nowMs))
  if (decision.kind !== 'Moved') throw new Error('there is enough')
  expect(accountFaults(decision.account)).toEqual([])
  return decision
}

const send = (microCredits: number, nowMs = 1) =>
  sendCredits(
    rich(),
    { transferId: 't', kind: 'Distribute', recipients: [{ accountId: ann, microCredits }] },
    at(nowMs),
  )

describe('an issue', () => {
  it('adds a lot that says who gave it and why', () => {
    const change = issueCredits(
      emptyAccount(ann),
      { issueId: 'i', microCredits: 5, expiresMs: 9, note },
      at(3),
    )
    expect(change?.account).toMatchObject({
      seq: 1,
      lots: [{ id: 'i', microCredits: 5, expiresMs: 9 }],
      totals: { issued: 5, available: 5 },
    })
    expect(change?.entry).toMatchObject({ _id: 'i:issue', kind: 'Issue', note, timeMs: 3 })
    expect(change?.entry.postings).toEqual([
      {
        debit: 'system/issued',
        credit: `${ann}/available`,
        microCredits: 5,
        lotId: 'i',
        expiresMs: 9,
      },
    ])
  })

  it.each([0, -1, 0.5, Number.NaN, Infinity, Number.MAX_SAFE_INTEGER + 1])(
    'of %d micro-credits is a bug',
    (microCredits) => {
      const issue = { issueId: 'i', microCredits, expiresMs: null }
      expect(() => issueCredits(emptyAccount(ann), issue, at(0))).toThrow('positive integer')
    },
  )

  it('is refused beyond 500 lots, and fits again when one is used up', () => {
    let account = emptyAccount(ann)
    for (let index = 0; index < accountLimits.lotsMax; index += 1) {
      account = issued(account, `i${index}`, [1, null])
    }
    const one = { issueId: 'more', microCredits: 1, expiresMs: null }
    expect(issueCredits(account, one, at(0))).toBeNull()
    const { account: poorer } = sent(account, [{ accountId: ben, microCredits: 1 }])
    expect(issueCredits(poorer, one, at(0))).not.toBeNull()
  })
})

describe('credits that are sent', () => {
  it('are those that lapse first, each piece with the name and expiry of its lot', () => {
    const { account, entry } = sent(rich(), [{ accountId: ann, microCredits: 6 }])
    expect(
      entry.postings.map(({ lotId, microCredits, expiresMs }) => [lotId, microCredits, expiresMs]),
    ).toEqual([
      ['soon', 5, 100],
      ['late', 1, 900],
    ])
    expect(account.totals).toMatchObject({ issued: 21, available: 15, sent: 6, revoked: 0 })
    expect(account.lots).toEqual([
      { id: 'never', microCredits: 9, expiresMs: null },
      { id: 'late', microCredits: 6, expiresMs: 900 },
    ])
  })

  it('to several come from where the piece before ended', () => {
    const recipients = [
      { accountId: ann, microCredits: 3 },
      { accountId: ben, microCredits: 4 },
    ]
    const { account, entry } = sent(rich(), recipients)
    expect(
      entry.postings.map(({ credit, lotId, microCredits }) => [credit, lotId, microCredits]),
    ).toEqual([
      [sides.incoming(ann), 'soon', 3],
      [sides.incoming(ben), 'soon', 2],
      [sides.incoming(ben), 'late', 2],
    ])
    expect(recipientsOf(entry)).toEqual([ann, ben])
    expect(account.totals.available).toBe(14)
  })

  it('back to the system count as revoked and have no recipient', () => {
    const recipients = [
      { accountId: null, microCredits: 2 },
      { accountId: ann, microCredits: 3 },
    ]
    const { account, entry } = sent(rich(), recipients)
    expect(account.totals).toMatchObject({ revoked: 2, sent: 3, available: 16 })
    expect(creditedTo(entry, sides.issued)).toBe(2)
    expect(recipientsOf(entry)).toEqual([ann])
  })

  it('may be all there are, and not one more', () => {
    expect(send(21).kind).toBe('Moved')
    expect(send(22)).toEqual({
      kind: 'Insufficient',
      missingMicroCredits: 1,
      availableMicroCredits: 21,
    })
  })

  it('are none at all when one of several is not covered', () => {
    const recipients = [
      { accountId: ann, microCredits: 20 },
      { accountId: ben, microCredits: 2 },
    ]
    const request = { transferId: 't', kind: 'Distribute', recipients } as const
    expect(sendCredits(rich(), request, at(1)).kind).toBe('Insufficient')
  })

  it('are not those that have lapsed, also before they are booked off', () => {
    expect(send(16, 100).kind).toBe('Moved')
    expect(send(17, 100)).toMatchObject({ kind: 'Insufficient', availableMicroCredits: 16 })
    expect(send(17, 99).kind).toBe('Moved')
  })

  it.each([0, -5, 1.5, Number.NaN])('are never %d', (microCredits) => {
    expect(() => send(microCredits)).toThrow('positive integer')
  })

  it('are not those that a job holds', () => {
    const held = holdCredits(rich(), { jobId: 'j', microCredits: 20 }, at(1))
    if (held.kind !== 'Held') throw new Error('there is enough')
    const request = {
      transferId: 't',
      kind: 'Revoke',
      recipients: [{ accountId: null, microCredits: 2 }],
    } as const
    expect(sendCredits(held.account, request, at(1))).toMatchObject({ kind: 'Insufficient' })
  })
})

describe('credits that arrive', () => {
  it('keep the name and expiry of their lots, and the reason why they were sent', () => {
    const { entry } = sent(rich(), [{ accountId: ann, microCredits: 6 }])
    const { account, entry: receipt } = receiveCredits(emptyAccount(ann), entry, at(5))
    expect(account).toMatchObject({
      lots: [
        { id: 'soon', microCredits: 5, expiresMs: 100 },
        { id: 'late', microCredits: 1, expiresMs: 900 },
      ],
      totals: { issued: 0, received: 6, available: 6 },
    })
    expect(receipt).toMatchObject({ _id: `t:distribute:${ann}:receive`, kind: 'Receive', note })
    expect(accountFaults(account)).toEqual([])
  })

  it('join the rest of their lot', () => {
    const { entry } = sent(rich(), [{ accountId: ann, microCredits: 2 }])
    const first = receiveCredits(emptyAccount(ann), entry, at(5)).account
    const second = receiveCredits(first, { ...entry, _id: 'u:distribute' }, at(6)).account
    expect(second.lots).toEqual([{ id: 'soon', microCredits: 4, expiresMs: 100 }])
  })

  it('are only those that were sent to this account', () => {
    const recipients = [
      { accountId: ann, microCredits: 3 },
      { accountId: ben, microCredits: 4 },
    ]
    const { entry } = sent(rich(), recipients)
    expect(receiveCredits(emptyAccount(ben), entry, at(5)).account.totals.received).toBe(4)
    expect(() => receiveCredits(emptyAccount('member:d:cyd'), entry, at(5))).toThrow(
      'sent something',
    )
  })

  it('after their expiry can only be booked off', () => {
    const { entry } = sent(rich(), [{ accountId: ann, microCredits: 5 }])
    const late = at(100 + accountLimits.toleranceMs)
    const { account } = receiveCredits(emptyAccount(ann), entry, late)
    expect(holdCredits(account, { jobId: 'j', microCredits: 1 }, late).kind).toBe('Insufficient')
    expect(lapseCredits(account, late)?.account.totals).toMatchObject({ received: 5, expired: 5 })
  })

  it('are more lots than may be issued, when they must be', () => {
    let account = emptyAccount(ann)
    for (let index = 0; index < accountLimits.lotsMax; index += 1) {
      account = issued(account, `i${index}`, [1, null])
    }
    const { entry } = sent(rich(), [{ accountId: ann, microCredits: 6 }])
    expect(receiveCredits(account, entry, at(5)).account.lots).toHaveLength(502)
  })
})

/** An account that was charged 4 and let 3 lapse by one settlement. */
function charged(): { readonly account: Account; readonly entry: Entry } {
  const held = holdCredits(
    issued(emptyAccount(ann), 'i', [7, 100]),
    { jobId: 'j', microCredits: 7 },
    at(1),
  )
  if (held.kind !== 'Held') throw new Error('there is enough')
  const late = at(100 + accountLimits.toleranceMs)
  const ended = endHold(held.account, { jobId: 'j', ending: 'Settle', microCredits: 4 }, late)
  if (ended.kind !== 'Ended') throw new Error('there is a hold')
  return ended
}

describe('an adjustment', () => {
  it.each([
    [1, 3, 3],
    [4, 0, 3],
    [5, 0, 2],
    [7, 0, 0],
  ])('of %d leaves %d spent and %d expired: first what was charged', (...row) => {
    const [microCredits, spent, expired] = row
    const { account, entry } = charged()
    expect(takenBy(entry)).toEqual({ spent: 4, expired: 3 })
    const adjusted = adjustCredits(account, { entry, microCredits, expiresMs: null, note }, at(9))
    expect(adjusted.account.totals).toMatchObject({ spent, expired, available: microCredits })
    expect(adjusted.account.lots).toEqual([
      { id: 'j:settle:adjust', microCredits, expiresMs: null },
    ])
    expect(adjusted.entry).toMatchObject({ _id: 'j:settle:adjust', jobId: 'j', kind: 'Adjust' })
    expect(accountFaults(adjusted.account)).toEqual([])
    expect(adjusted.account.totals.issued).toBe(7)
  })

  it.each([0, -1, 0.5, 8])('never gives %d back', (microCredits) => {
    const { account, entry } = charged()
    const request = { entry, microCredits, expiresMs: null, note }
    expect(() => adjustCredits(account, request, at(9))).toThrow('assertion failed')
  })

  it('stays on the account of the entry, and takes nothing from an adjustment', () => {
    const { account, entry } = charged()
    const request = { entry, microCredits: 1, expiresMs: null, note }
    expect(() => adjustCredits(emptyAccount(ben), request, at(9))).toThrow('stays on the account')
    expect(takenBy(adjustCredits(account, request, at(9)).entry)).toEqual({ spent: 0, expired: 0 })
  })
})

describe('what is wrong with an account', () => {
  const sound = rich()
  it.each([
    ['available differs', { ...sound, lots: sound.lots.slice(1) }],
    ['what came in differs', { ...sound, totals: { ...sound.totals, issued: 22 } }],
    ['a total is negative', { ...sound, totals: { ...sound.totals, spent: -1, revoked: 1 } }],
    ['not a safe integer', { ...sound, totals: { ...sound.totals, spent: 0.5, revoked: -0.5 } }],
    ['a lot is there twice', { ...sound, lots: [...sound.lots, ...sound.lots] }],
    ['held differs', { ...sound, totals: { ...sound.totals, held: 1 } }],
  ])('is said: %s', (fault, account) => {
    expect(accountFaults(account).join()).toContain(fault)
  })

  it('is nothing when it is empty, or when a piece of nothing joins', () => {
    expect(accountFaults(emptyAccount(ann))).toEqual([])
    expect(withPieces([], [{ id: 'i', microCredits: 0, expiresMs: null }])).toEqual([])
  })
})
