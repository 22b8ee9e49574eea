"""Parts of your own, to read and to copy: each is a file that a configuration names. Nothing else imports them."""
