import type { Words } from './wording.ts'

const notAsked =
  'If you did not ask for it, you can ignore this mail. Never give the code to anybody.'
const notYou = 'If it was not you, tell an administrator at once.'

function validFor(minutes: number): string {
  return `It is valid for ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}.`
}

export const english: Words = {
  SignUpCode: ({ code, minutes }) => ({
    subject: 'Your sign-up code for Atelier',
    blocks: ['To sign up for Atelier, enter this code:', { code }, validFor(minutes), notAsked],
  }),
  AccountExists: (_, { home }) => ({
    subject: 'You already have an Atelier account',
    blocks: [
      'Somebody tried to sign up for Atelier with this e-mail address, which already has an account.',
      'If it was you, sign in, or reset your password if you do not remember it.',
      { link: home, label: 'Open Atelier' },
      'If it was not you, you can ignore this mail. Nothing has changed.',
    ],
  }),
  PasswordResetCode: ({ code, minutes }) => ({
    subject: 'Your password reset code for Atelier',
    blocks: [
      'To set a new password for Atelier, enter this code:',
      { code },
      validFor(minutes),
      notAsked,
    ],
  }),
  NoAccount: () => ({
    subject: 'There is no Atelier account for this address',
    blocks: [
      'Somebody asked to reset the Atelier password of this e-mail address, which has no account.',
      'If it was you, you may have signed up with another address.',
      'If it was not you, you can ignore this mail.',
    ],
  }),
  EmailChangeCode: ({ code, minutes }) => ({
    subject: 'Confirm your new e-mail address for Atelier',
    blocks: [
      'To use this e-mail address for your Atelier account, enter this code:',
      { code },
      validFor(minutes),
      notAsked,
    ],
  }),
  EmailChanged: () => ({
    subject: 'The e-mail address of your Atelier account has changed',
    blocks: [
      'Your Atelier account now has another e-mail address. You cannot sign in with this one any more.',
      notYou,
    ],
  }),
  PasswordChanged: () => ({
    subject: 'Your Atelier password has changed',
    blocks: ['The password of your Atelier account has been changed.', notYou],
  }),
  Approved: ({ name, department }, { home }) => ({
    subject: 'You are now a member of Atelier',
    blocks: [
      `Hello ${name},`,
      `your request was approved: you are now a member of ${department}.`,
      { link: home, label: 'Open Atelier' },
    ],
  }),
  Rejected: ({ name, department }) => ({
    subject: 'Your request to join Atelier',
    blocks: [
      `Hello ${name},`,
      `your request to join ${department} was not approved.`,
      'If you have questions, please ask the administrators of the department.',
    ],
  }),
  GuestWaits: ({ name, department }, { home }) => ({
    subject: 'Somebody waits for your approval in Atelier',
    blocks: [
      `${name} would like to join ${department}.`,
      'Sign in to Atelier to approve or reject the request.',
      { link: home, label: 'Open Atelier' },
    ],
  }),
  Invited: ({ token, department, days }, { invitation }) => ({
    subject: 'You are invited to Atelier',
    blocks: [
      `You are invited to join ${department} in Atelier. Open this link to accept:`,
      { link: invitation(token), label: 'Accept the invitation' },
      'If you use the REST API, this is the token of your invitation:',
      { token },
      `The invitation is valid for ${days} ${days === 1 ? 'day' : 'days'} and only for you.`,
    ],
  }),
  SessionReuse: () => ({
    subject: 'We ended one of your Atelier sessions',
    blocks: [
      'A sign-in token that had been used up was used again. Somebody may have copied it, so we ended that session.',
      'Please sign in again. If you did not expect this, change your password and look through your sessions.',
    ],
  }),
  IdentityLinked: ({ issuer }) => ({
    subject: 'A new way to sign in to your Atelier account',
    blocks: [`You can now sign in to your Atelier account with ${issuer}.`, notYou],
  }),
  BudgetUsed: ({ department, percent, month }, { home }) => ({
    subject: 'Your department’s Atelier budget is running out',
    blocks: [
      percent === '100'
        ? `${department} has used up its credits for ${month}: no account has 1 % of them left.`
        : `${department} has used ${percent} % of its credits for ${month}.`,
      'Credits that are reserved for jobs which still run count as used.',
      { link: home, label: 'Open Atelier' },
    ],
  }),
  CreditsExpire: ({ department, lots }, { home }) => ({
    subject: 'Some of your Atelier credits expire soon',
    blocks: [
      `These credits of yours in ${department} expire if they are not used:`,
      ...lots.map(({ credits, time }) => `${credits} credits: ${time}`),
      { link: home, label: 'Open Atelier' },
    ],
  }),
  DepartmentCreditsExpire: ({ department, lots }, { home }) => ({
    subject: 'Some of your department’s Atelier credits expire soon',
    blocks: [
      `These credits of ${department} expire if they are not given to members and used:`,
      ...lots.map(({ credits, time }) => `${credits} credits: ${time}`),
      { link: home, label: 'Open Atelier' },
    ],
  }),
}
