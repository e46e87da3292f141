import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { openAdminClient } from '../../../src/local/environment.ts'
import { testEnvironment } from '../../support/environment.ts'

const run = promisify(execFile)
const { kubeconfigPath, kubectl } = testEnvironment()

async function kubectlOutput(args: readonly string[]): Promise<string> {
  const [command = '', ...first] = kubectl
  const { stdout } = await run(command, [...first, '--kubeconfig', kubeconfigPath, ...args])
  return stdout
}

describe('the control plane', () => {
  test('answers kubectl and has the custom resources', async () => {
    const names = await kubectlOutput(['api-resources', '--api-group=atelier.dev', '-o', 'name'])
    expect(names.trim().split('\n').toSorted()).toEqual([
      'departments.atelier.dev',
      'generationjobs.atelier.dev',
      'modelpools.atelier.dev',
      'models.atelier.dev',
    ])
  })

  test('has the service accounts and roles of the processes', async () => {
    const answer = await kubectlOutput([
      'auth',
      'can-i',
      'patch',
      'generationjobs.atelier.dev',
      '--subresource=status',
      '--as=system:serviceaccount:atelier-system:atelier-controller',
    ])
    expect(answer.trim()).toBe('yes')
  })

  test('refuses anonymous requests for anything but health', async () => {
    const client = openAdminClient(kubeconfigPath)
    const url = client.server
    await client.close()
    const answer = await run('node', ['-e', anonymousScript, url])
    expect(JSON.parse(answer.stdout)).toEqual({ '/readyz': 200, '/api/v1/namespaces': 401 })
  })
})

const anonymousScript = `
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
const paths = ['/readyz', '/api/v1/namespaces']
const ask = async (path) => [path, (await fetch(process.argv[1] + path)).status]
Promise.all(paths.map(ask)).then((all) => console.log(JSON.stringify(Object.fromEntries(all))))`
