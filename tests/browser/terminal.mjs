// Draws a login in a terminal as an SVG that plays in a loop, in the reader's light or dark colours. Readers who prefer reduced
// motion see its last picture.

const WIDTH = 680;
const ADVANCE = 8.4; // of a character of 14 pixels
const LINE = 20;
const LEFT = 20;
const TOP = 56; // the first line's middle, below the window's bar

// Seconds.
const TYPED = 2;
const ANSWERED = 2.6;
const APPROVED = 7;
const END = 13;

const percent = (seconds) => `${Math.round((100 * seconds) / END)}%`;
const from = (seconds) => `{ 0% { opacity: 0 } ${percent(seconds)}, 100% { opacity: 1 } }`;

const style = (typed) => `
  .window { fill: #fff; stroke: #d0d7de }
  .cover { fill: #fff }
  .button { fill: #d0d7de }
  text { fill: #1f2328; font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
  .command { fill: #0550ae; font-weight: bold }
  .note { fill: #656d76; font-style: italic }
  .box { fill: none; stroke: #1f2328 }
  .cursor { fill: #656d76 }
  .typing { opacity: 0 }
  @media (prefers-color-scheme: dark) {
    .window { fill: #0d1117; stroke: #30363d }
    .cover { fill: #0d1117 }
    .button { fill: #30363d }
    text { fill: #e6edf3 }
    .command { fill: #79c0ff }
    .note { fill: #8b949e }
    .box { stroke: #e6edf3 }
    .cursor { fill: #8b949e }
  }
  @media (prefers-reduced-motion: no-preference) {
    .typing { animation: typing ${END}s steps(1) infinite }
    .hand { animation: hand ${END}s infinite }
    .answered { animation: answered ${END}s steps(1) infinite }
    .approved { animation: approved ${END}s steps(1) infinite }
  }
  @keyframes typing { 0% { opacity: 1 } ${percent(TYPED)}, 100% { opacity: 0 } }
  @keyframes hand {
    0% { transform: none; animation-timing-function: steps(${typed}) }
    ${percent(TYPED)}, 100% { transform: translateX(${typed * ADVANCE}px) }
  }
  @keyframes answered ${from(ANSWERED)}
  @keyframes approved ${from(APPROVED)}
`;

// How each box character joins the middle of its cell to the edges.
const BOX = {
  '─': 'm-4.2 0h8.4',
  '│': 'm0-10v20',
  '┌': 'm4.2 0h-4.2v10',
  '┐': 'm-4.2 0h4.2v10',
  '└': 'm4.2 0h-4.2v-10',
  '┘': 'm-4.2 0h4.2v-10',
};

const round = (number) => Number(number.toFixed(1));
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

// Every character takes one column, in every font.
function text(column, row, content, kind = '') {
  const [x, y] = [round(LEFT + column * ADVANCE), TOP + row * LINE + 5];
  const length = content.length > 1 ? ` textLength="${round(content.length * ADVANCE)}"` : '';
  return `<text${kind && ` class="${kind}"`} x="${x}" y="${y}"${length}>${escape(content)}</text>`;
}

function line(printed, row) {
  const characters = [...printed];
  const joins = characters.flatMap((character, column) =>
    character in BOX ? `M${round(LEFT + (column + 0.5) * ADVANCE)} ${TOP + row * LINE}${BOX[character]}` : [],
  );
  const drawn = joins.length > 0 ? [`<path class="box" d="${joins.join('')}"/>`] : [];
  // An emoji takes two columns, in a font of its own.
  const [, emoji = '', rest] = printed.match(/^(\p{Extended_Pictographic}\s)?(.*)$/u);
  if (emoji) drawn.push(`<text x="${LEFT}" y="${TOP + row * LINE + 5}">${emoji.trim()}</text>`);
  const words = [...rest].map((character) => (character in BOX ? ' ' : character)).join('').trimEnd();
  const indent = words.search(/\S/);
  if (indent >= 0) drawn.push(text((emoji ? 3 : 0) + indent, row, words.trim()));
  return drawn.join('');
}

// `before` and `after` are the lines that the command prints before and after the approval.
export function terminal(command, { before, after }) {
  const waiting = 1 + before.findLastIndex((printed) => printed.trim());
  const first = 1 + before.length;
  const height = TOP + (first + after.length + 0.5) * LINE;
  const cover = round(LEFT + 2 * ADVANCE);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>A terminal: ${escape(command)} shows a code, waits for the approval in the browser, and is signed in.</title>
<style>${style(command.length)}</style>
<rect class="window" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
<circle class="button" cx="20" cy="18" r="5"/><circle class="button" cx="38" cy="18" r="5"/><circle class="button" cx="56" cy="18" r="5"/>
${text(0, 0, '$', 'note')}${text(2, 0, command, 'command')}
<clipPath id="inside"><rect x="1" y="1" width="${WIDTH - 2}" height="${height - 2}" rx="8"/></clipPath>
<g class="typing" clip-path="url(#inside)"><g class="hand"><rect class="cover" x="${cover}" y="${TOP - 10}" width="${round(command.length * ADVANCE + 2)}" height="${LINE}"/>
<rect class="cursor" x="${cover}" y="${TOP - 8}" width="8" height="16"/></g></g>
<g class="answered">
${before.map((printed, at) => line(printed, 1 + at)).filter(Boolean).join('\n')}
${text(before[waiting - 1].length + 2, waiting, 'You approve it in the browser.', 'note')}
</g>
<g class="approved">
${after.map((printed, at) => line(printed, first + at)).filter(Boolean).join('\n')}
</g>
</svg>
`;
}
