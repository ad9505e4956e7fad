// Sets the colours before the first paint. A file of its own because the
// page's content security policy allows no inline script.
(function () {
  var choice = null
  try {
    choice = localStorage.getItem('edr.theme')
  } catch (e) {
    // Storage may be switched off; the system's choice holds then.
  }
  var dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light')
})()
