// Optional: every page works without this script.
'use strict';

const field = document.querySelector('input.code-field');
if (field) {
  const format = (event) => {
    // A Japanese keyboard types full-width letters, which become ordinary ones here, and its own dashes.
    const typed = field.value.normalize('NFKC');
    // Correcting a letter in the middle must not move the caret. The server finds the code in a pasted link.
    if (event.isComposing || field.selectionStart !== field.value.length || /[/:=]/.test(typed)) return;
    const code = typed.replace(/[\s\p{Pd}\u2212ー]/gu, '').toUpperCase();
    field.value = code.length > 4 ? code.slice(0, 4) + '-' + code.slice(4) : code;
    if (event.inputType === 'insertFromPaste' && code.length === 8 && 'submitOnPaste' in field.dataset) {
      field.form.requestSubmit();
    }
  };
  field.addEventListener('input', format);
  field.addEventListener('compositionend', format);
}

// A double click sends one form. The buttons work until the form is read, and again if the person comes back to the page.
let sent;
const allow = (more) => {
  sent = !more;
  for (const button of document.querySelectorAll('form button')) button.disabled = sent;
};
document.addEventListener('submit', (event) => {
  if (sent) event.preventDefault();
  sent = true;
  setTimeout(allow, 0, false);
});
addEventListener('pageshow', () => allow(true));

for (const command of document.querySelectorAll('.command')) {
  if (!navigator.clipboard) break; // absent over plain http; the text can still be selected
  const button = document.createElement('button');
  const label = document.createElement('span');
  button.type = 'button';
  label.setAttribute('role', 'status');
  label.textContent = command.dataset.copy;
  button.append(label);
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(command.querySelector('code').textContent);
    label.textContent = command.dataset.copied;
  });
  command.append(button);
}

const retry = document.querySelector('[data-retry-seconds]');
if (retry) {
  const again = () => (retry.requestSubmit ? retry.requestSubmit() : location.reload());
  setTimeout(again, retry.dataset.retrySeconds * 1000);
}

// The CSP lets the form lead to one address of Postiz. If Postiz redirects to another one, the browser stays here without a word.
document.addEventListener('securitypolicyviolation', (event) => {
  const blocked = document.querySelector('[data-blocked]');
  if (!blocked || event.effectiveDirective !== 'form-action') return;
  const code = document.querySelector('[name=user_code]').value;
  blocked.querySelector('a').search = new URLSearchParams({ code });
  blocked.hidden = false;
  allow(true);
});
