import type { Words } from './wording.ts'

const notAsked =
  '직접 요청하지 않으셨다면 이 메일을 무시하셔도 됩니다. 코드는 누구에게도 알려 주지 마세요.'
const notYou = '본인이 한 일이 아니라면 바로 관리자에게 알려 주세요.'

function validFor(minutes: number): string {
  return `이 코드는 ${minutes}분 동안 유효합니다.`
}

export const korean: Words = {
  SignUpCode: ({ code, minutes }) => ({
    subject: 'Atelier 가입 인증 코드',
    blocks: [
      'Atelier에 가입하시려면 아래 인증 코드를 입력해 주세요.',
      { code },
      validFor(minutes),
      notAsked,
    ],
  }),
  AccountExists: (_, { home }) => ({
    subject: '이미 Atelier 계정이 있습니다',
    blocks: [
      '이 메일 주소로 Atelier에 가입하려는 요청이 있었지만, 이미 같은 주소의 계정이 있습니다.',
      '본인이라면 기존 계정으로 로그인해 주세요. 비밀번호가 기억나지 않으면 다시 설정하실 수 있습니다.',
      { link: home, label: 'Atelier 열기' },
      '본인이 아니라면 이 메일을 무시하셔도 됩니다. 계정에는 아무 변화가 없습니다.',
    ],
  }),
  PasswordResetCode: ({ code, minutes }) => ({
    subject: 'Atelier 비밀번호 재설정 코드',
    blocks: [
      'Atelier 비밀번호를 새로 설정하시려면 아래 인증 코드를 입력해 주세요.',
      { code },
      validFor(minutes),
      notAsked,
    ],
  }),
  NoAccount: () => ({
    subject: '이 주소로 가입된 Atelier 계정이 없습니다',
    blocks: [
      '이 메일 주소의 Atelier 비밀번호를 재설정하려는 요청이 있었지만, 이 주소로 가입된 계정이 없습니다.',
      '본인이라면 다른 메일 주소로 가입하지 않으셨는지 확인해 주세요.',
      '본인이 아니라면 이 메일을 무시하셔도 됩니다.',
    ],
  }),
  EmailChangeCode: ({ code, minutes }) => ({
    subject: 'Atelier 새 메일 주소 인증 코드',
    blocks: [
      '이 메일 주소를 Atelier 계정에 사용하시려면 아래 인증 코드를 입력해 주세요.',
      { code },
      validFor(minutes),
      notAsked,
    ],
  }),
  EmailChanged: () => ({
    subject: 'Atelier 계정의 메일 주소가 변경되었습니다',
    blocks: [
      'Atelier 계정의 메일 주소가 다른 주소로 변경되었습니다. 이제 이 주소로는 로그인하실 수 없습니다.',
      notYou,
    ],
  }),
  PasswordChanged: () => ({
    subject: 'Atelier 비밀번호가 변경되었습니다',
    blocks: ['Atelier 계정의 비밀번호가 변경되었습니다.', notYou],
  }),
  Approved: ({ name, department }, { home }) => ({
    subject: 'Atelier 가입이 승인되었습니다',
    blocks: [
      `${name} 님, 안녕하세요.`,
      `가입 신청이 승인되어 ${department} 부서의 구성원이 되셨습니다.`,
      { link: home, label: 'Atelier 열기' },
    ],
  }),
  Rejected: ({ name, department }) => ({
    subject: 'Atelier 가입 신청 결과 안내',
    blocks: [
      `${name} 님, 안녕하세요.`,
      `${department} 부서에 대한 가입 신청이 승인되지 않았습니다.`,
      '궁금한 점은 해당 부서의 관리자에게 문의해 주세요.',
    ],
  }),
  GuestWaits: ({ name, department }, { home }) => ({
    subject: 'Atelier 가입 신청이 승인을 기다리고 있습니다',
    blocks: [
      `${name} 님이 ${department} 부서에 가입을 신청했습니다.`,
      'Atelier에 로그인하여 승인하거나 거절해 주세요.',
      { link: home, label: 'Atelier 열기' },
    ],
  }),
  Invited: ({ token, department, days }, { invitation }) => ({
    subject: 'Atelier에 초대합니다',
    blocks: [
      `Atelier의 ${department} 부서에 초대되셨습니다. 아래 링크를 열어 초대를 수락해 주세요.`,
      { link: invitation(token), label: '초대 수락하기' },
      'REST API를 사용하신다면 아래 초대 토큰을 이용해 주세요.',
      { token },
      `이 초대는 ${days}일 동안 유효하며, 받으신 분만 사용하실 수 있습니다.`,
    ],
  }),
  SessionReuse: () => ({
    subject: 'Atelier 로그인 세션을 종료했습니다',
    blocks: [
      '이미 사용이 끝난 로그인 토큰이 다시 사용되었습니다. 토큰이 유출되었을 수 있어 해당 세션을 종료했습니다.',
      '다시 로그인해 주세요. 짐작 가는 일이 없다면 비밀번호를 변경하고 로그인 세션 목록을 확인해 주세요.',
    ],
  }),
  IdentityLinked: ({ issuer }) => ({
    subject: 'Atelier 계정에 새로운 로그인 방법이 추가되었습니다',
    blocks: [`이제 다음 계정으로도 Atelier에 로그인하실 수 있습니다: ${issuer}`, notYou],
  }),
  BudgetUsed: ({ department, percent, month }, { home }) => ({
    subject: '부서의 Atelier 월 예산 사용 안내',
    blocks: [
      percent === '100'
        ? `${department} 부서가 ${month} 예산을 모두 사용했습니다. 1 % 이상 남은 계정이 없습니다.`
        : `${department} 부서가 ${month} 예산의 ${percent} %를 사용했습니다.`,
      '아직 실행 중인 작업에 예약된 크레딧도 사용한 것으로 계산합니다.',
      { link: home, label: 'Atelier 열기' },
    ],
  }),
  CreditsExpire: ({ department, lots }, { home }) => ({
    subject: '곧 만료되는 Atelier 크레딧이 있습니다',
    blocks: [
      `${department} 부서에서 받으신 다음 크레딧은 사용하지 않으면 만료됩니다.`,
      ...lots.map(({ credits, time }) => `${credits} 크레딧: ${time}`),
      { link: home, label: 'Atelier 열기' },
    ],
  }),
  DepartmentCreditsExpire: ({ department, lots }, { home }) => ({
    subject: '곧 만료되는 부서의 Atelier 크레딧이 있습니다',
    blocks: [
      `${department} 부서의 다음 크레딧은 구성원에게 나누어 주고 사용하지 않으면 만료됩니다.`,
      ...lots.map(({ credits, time }) => `${credits} 크레딧: ${time}`),
      { link: home, label: 'Atelier 열기' },
    ],
  }),
}
