import { relative } from 'node:path'
import type { DemoAccounts } from './demo-accounts.ts'

export type BannerFacts = {
  readonly apiUrl: string
  readonly accounts: DemoAccounts
  readonly outputPath: string
  readonly folder: string
  readonly currentFolder: string
}

/** What to do next: address, logins, three kubectl lines. */
export function bannerText(facts: BannerFacts): string {
  const { apiUrl, accounts, outputPath, folder, currentFolder } = facts
  const here = relative(currentFolder, folder)
  const option = here === '.atelier' ? '' : ` --data ${folder}`
  const kubectl = `npm run kubectl --${option}`
  const width = Math.max(...accounts.users.map(({ email }) => email.length))
  const logins = accounts.users.map(
    ({ email, password, role, department }) =>
      `    ${email.padEnd(width)}  ${password}  ${role}, ${department}`,
  )
  return [
    '',
    `  Atelier runs at ${apiUrl} (documentation: ${apiUrl}/docs)`,
    `  First picture: ${outputPath}`,
    '',
    '  Demo logins, made for this data folder only:',
    ...logins,
    '',
    '  With kubectl:',
    `    ${kubectl} get genjob -A -o wide`,
    `    ${kubectl} apply -f manifests/samples/generation-job.yaml`,
    `    ${kubectl} describe genjob -n vision scratch-on-metal`,
    '',
    `  Logs: ${folder}/logs   Stop: Ctrl-C (data stays in ${folder})`,
    '',
  ].join('\n')
}
