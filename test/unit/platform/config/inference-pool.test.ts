import { describe, expect, it } from 'vitest'
import { readPoolConfig } from '../../../../src/platform/config/inference-pool.ts'

const pool = {
  ATELIER_POOL: 'demo-pool',
  ATELIER_POOL_LISTEN: '127.1.0.3:8080',
  ATELIER_POOL_KEY_FILE: '/key',
  ATELIER_POOL_MODELS: 'demo,other',
  ATELIER_POOL_MODEL_FOLDER_0: '/models/demo',
  ATELIER_POOL_MODEL_FOLDER_1: '/claims/other',
  ATELIER_POOL_LORAS: '',
  ATELIER_POOL_SLOTS: '2',
  ATELIER_API_URL: 'http://127.0.0.1:8081',
  ATELIER_GRACE_SECONDS: '3600',
  POD_UID: 'a0000000-0000-4000-8000-000000000001',
}

describe('the variables of a pool pod', () => {
  it('give its models and LoRAs their folders, in the order of their names', () => {
    const loras = { ATELIER_POOL_LORAS: 'rust, dust', ATELIER_LORA_FOLDER_0: '/a' }
    const config = readPoolConfig({ ...pool, ...loras, ATELIER_LORA_FOLDER_1: '/b' })
    expect(config.models).toEqual([
      { name: 'demo', folder: '/models/demo' },
      { name: 'other', folder: '/claims/other' },
    ])
    expect([...config.loraFolders]).toEqual([
      ['rust', '/a'],
      ['dust', '/b'],
    ])
    expect(config).toMatchObject({ slots: 2, graceSeconds: 3600, executionProvider: 'auto' })
  })

  it.each([
    ['127.1.0.3:8080', { host: '127.1.0.3', port: 8080 }],
    ['fd00:10::1f:8080', { host: 'fd00:10::1f', port: 8080 }],
    ['[fd00:10::1f]:8080', { host: 'fd00:10::1f', port: 8080 }],
    ['2001:db8:1:2:3:4:5:6:8080', { host: '2001:db8:1:2:3:4:5:6', port: 8080 }],
    ['::ffff:10.0.0.7:0', { host: '::ffff:10.0.0.7', port: 0 }],
  ])('let it listen at %s, as a pod has its address', (text, listen) => {
    expect(readPoolConfig({ ...pool, ATELIER_POOL_LISTEN: text }).listen).toEqual(listen)
  })

  it('may name no LoRA and need not say how many slots there are', () => {
    const config = readPoolConfig({ ...pool, ATELIER_POOL_SLOTS: undefined })
    expect(config.loraFolders.size).toBe(0)
    expect(config.slots).toBe(1)
  })

  it.each([
    ['ATELIER_POOL', 'Not A Name'],
    ['ATELIER_POOL_LISTEN', '8080'],
    ['ATELIER_POOL_LISTEN', ':8080'],
    ['ATELIER_POOL_LISTEN', 'fd00:10::1f'],
    ['ATELIER_POOL_LISTEN', 'fd00:10::1f:65536'],
    ['ATELIER_POOL_LISTEN', 'a:b:8080'],
    ['ATELIER_POOL_MODELS', 'demo,Other'],
    ['ATELIER_POOL_MODELS', undefined],
    ['ATELIER_POOL_MODELS', Array.from({ length: 17 }, (_, i) => `m${i}`).join(',')],
    ['ATELIER_POOL_MODEL_FOLDER_1', undefined],
    ['ATELIER_LORA_FOLDER_0', undefined, { ATELIER_POOL_LORAS: 'rust' }],
    ['ATELIER_POOL_SLOTS', '0'],
    ['ATELIER_POOL_SLOTS', '17'],
    ['ATELIER_GRACE_SECONDS', '86401'],
    ['POD_UID', undefined],
  ])(
    'are refused by name when %s is %s',
    (name, value, more: Readonly<Record<string, string>> = {}) => {
      const read = () => readPoolConfig({ ...pool, ...more, [name]: value })
      expect(read).toThrow(expect.objectContaining({ code: 'platform.misconfigured' }))
      expect(read).toThrow(`${name}: `)
    },
  )
})
