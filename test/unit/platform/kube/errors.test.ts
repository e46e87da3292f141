import { describe, expect, it } from 'vitest'
import {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  isUnreachable,
  KubeError,
  kubeErrorOf,
  retryAfterMs,
} from '../../../../src/platform/kube/errors.ts'

const predicates = {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  isUnreachable,
}

function truths(error: unknown): readonly string[] {
  return Object.entries(predicates).flatMap(([name, holds]) => (holds(error) ? [name] : []))
}

describe('error predicates', () => {
  it.each([
    [0, 'Unreachable', ['isUnreachable']],
    [400, 'BadRequest', ['isInvalid']],
    [403, 'Forbidden', ['isForbidden']],
    [404, 'NotFound', ['isNotFound']],
    [409, 'AlreadyExists', ['isAlreadyExists']],
    [409, 'Conflict', ['isConflict']],
    [410, 'Expired', ['isGone']],
    [410, 'Gone', ['isGone']],
    [422, 'Invalid', ['isInvalid']],
    [500, 'InternalError', []],
    [503, 'ServiceUnavailable', []],
  ])('of status %i %s: %j', (status, reason, expected) => {
    expect(truths(new KubeError({ status, reason, message: 'x' }))).toEqual(expected)
  })

  it('say no to anything that is not a KubeError', () => {
    expect(truths(Object.assign(new Error('x'), { status: 404, reason: 'NotFound' }))).toEqual([])
    expect(truths(undefined)).toEqual([])
  })
})

describe('kubeErrorOf', () => {
  it('keeps what the API server says, field by field', () => {
    const field = 'spec.parameters.steps'
    const body = {
      kind: 'Status',
      status: 'Failure',
      code: 422,
      reason: 'Invalid',
      message: 'GenerationJob "x" is invalid',
      details: { causes: [{ reason: 'FieldValueInvalid', message: 'too large', field }] },
    }
    expect(kubeErrorOf({ status: 422, body })).toMatchObject({
      status: 422,
      reason: 'Invalid',
      message: 'GenerationJob "x" is invalid',
      causes: [{ reason: 'FieldValueInvalid', message: 'too large', field }],
    })
  })

  it('makes sense of answers that no API server wrote', () => {
    for (const body of [undefined, null, '', '<html>', [], { kind: 'Status', details: 7 }]) {
      const error = kubeErrorOf({ status: 503, body, retryAfterSeconds: 2 })
      expect(error).toMatchObject({ status: 503, reason: 'ServiceUnavailable', causes: [] })
      expect(error.message).toContain('503')
      expect(retryAfterMs(error)).toBe(2_000)
    }
  })

  it('bounds the wait that an answer can impose', () => {
    const body = { kind: 'Status', details: { retryAfterSeconds: 1e9 } }
    expect(retryAfterMs(kubeErrorOf({ status: 429, body }))).toBe(300_000)
    expect(retryAfterMs(new Error('x'))).toBe(0)
  })
})
