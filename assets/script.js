// Optional: every page works without this script.
'use strict';

const field = document.querySelector('input.code-field');
if (field) {
  const bare = () => field.value.replace(/[\s\p{Pd}]/gu, '').toUpperCase();
  field.addEventListener('input', (event) => {
    // Correcting a letter in the middle must not move the caret.
    if (event.isComposing || field.selectionStart !== field.value.length) return;
    const code = bare();
    field.value = code.length > 4 ? code.slice(0, 4) + '-' + code.slice(4) : code;
    if (event.inputType === 'insertFromPaste' && code.length === 8 && 'submitOnPaste' in field.dataset) {
      field.form.requestSubmit();
    }
  });
}

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
});
