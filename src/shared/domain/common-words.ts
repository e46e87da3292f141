/** What passwords are made of most often, beside names, dates and keys that lie side by side. */
export const commonWords = (
  'password passwort passw pass word secret geheim login admin administrator root user guest test ' +
  'welcome hello letmein changeme default master access sesame open server system computer ' +
  'internet windows microsoft google apple samsung facebook twitter youtube linkedin yahoo gmail ' +
  'hotmail naver daum kakao korea seoul busan hankuk daehan minguk sarang saranghae chunsa ' +
  '비밀번호 패스워드 암호 안녕하세요 사랑해 대한민국 한국 서울 관리자 로그인 ' +
  'iloveyou loveyou love lover forever always together baby babygirl babyboy honey sweet sweetie ' +
  'princess prince queen king angel devil heaven jesus christ jesuschrist god godisgood blessed ' +
  'faith church sunshine moonlight starlight summer winter spring autumn january february march ' +
  'april june july august september october november december monday tuesday wednesday thursday ' +
  'friday saturday sunday football baseball basketball soccer hockey volleyball tennis golf ' +
  'liverpool chelsea arsenal barcelona realmadrid madrid manchester united manutd juventus inter ' +
  'yankees cowboys steelers eagles lakers bulls rangers packers raiders dolphins newyork london ' +
  'paris berlin chicago california florida texas america england australia canada mexico brasil ' +
  'brazil colombia argentina espana france germany deutschland india pakistan philippines ' +
  'superman batman spiderman ironman pokemon pikachu naruto starwars startrek skywalker matrix ' +
  'gandalf hobbit merlin dragon tiger lion eagle wolf panther monkey monkeys horse kitty hellokitty ' +
  'butterfly flower flowers chocolate cookie cookies cheese banana orange cherry strawberry ' +
  'pepper ginger coffee mustang corvette ferrari porsche mercedes harley yamaha honda toyota ' +
  'michael michelle jennifer jessica ashley amanda daniel charlie thomas jordan andrew joshua ' +
  'matthew anthony robert william joseph christian christopher alexander alexandra benjamin ' +
  'nicholas nicole samantha elizabeth stephanie victoria patricia veronica carolina fernando ' +
  'fernanda alejandro alejandra gabriel daniela valentina george maggie hunter killer shadow ' +
  'ninja warrior soldier hacker legend hero trustno trust nothing something anything whatever ' +
  'nobody someone money dollar million rich lucky magic mystery freedom justice family friends ' +
  'friend bestfriend mother father sister brother mommy daddy mama papa happy smile crazy sexy ' +
  'biteme fuck fucking fuckyou fuckoff asshole bitch pussy dick suck bullshit shit rock rockstar ' +
  'metallica nirvana slipknot blink eminem beatles guitar music dance player gamer minecraft ' +
  'roblox fortnite callofduty counterstrike warcraft starcraft playstation nintendo xbox blue ' +
  'green red black white purple yellow silver golden gold diamond crystal number one two three ' +
  'four five six seven eight nine ten the and you are mine your this that'
).split(' ')

/** Keys that lie side by side, and everybody's order of letters and digits. */
export const commonRuns: readonly string[] = [
  '012345678901234567890',
  'abcdefghijklmnopqrstuvwxyz',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  'qazwsxedcrfvtgbyhnujmikolp',
  '1q2w3e4r5t6y7u8i9o0p',
  'q1w2e3r4t5y6u7i8o9p0',
  'a1b2c3d4e5f6g7h8i9j0',
  '1a2b3c4d5e6f7g8h9i0j',
  'a1s2d3f4g5h6j7k8l9',
  'z1x2c3v4b5n6m7',
  '147258369147',
  '159753159357',
  '!@#$%^&*()_+',
]
