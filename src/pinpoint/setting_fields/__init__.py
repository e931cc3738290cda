"""Settings by whom they are for: a part of `settings.Settings` each."""
