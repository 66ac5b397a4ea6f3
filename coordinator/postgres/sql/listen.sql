-- Asks for what other proxies tell.
LISTEN praefect
