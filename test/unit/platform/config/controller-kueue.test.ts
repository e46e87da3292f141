import { describe, expect, it } from 'vitest'
import { readControllerConfig } from '../../../../src/platform/config/controller.ts'

const least = {
  ATELIER_API_INTERNAL_URL: 'http://127.0.0.1:8081',
  ATELIER_INTERNAL_TOKEN_FILE: '/tokens/internal',
  ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:1',
  ATELIER_POD_API_URL: 'http://127.0.0.1:8081',
}

describe('the LocalQueue of jobs that name none', () => {
  it('is none unless one is named', () => {
    expect(readControllerConfig(least).kueueLocalQueue).toBeUndefined()
    const named = { ...least, ATELIER_KUEUE_LOCAL_QUEUE: 'everybody' }
    expect(readControllerConfig(named).kueueLocalQueue).toBe('everybody')
  })

  it.each(['Team_A', '-a', 'a.b', 'a'.repeat(64)])('cannot be %s', (name) => {
    const named = { ...least, ATELIER_KUEUE_LOCAL_QUEUE: name }
    expect(() => readControllerConfig(named)).toThrow('ATELIER_KUEUE_LOCAL_QUEUE')
  })
})
