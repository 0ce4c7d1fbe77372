"""Django's own cache backend for Redis, and django-redis with its locks.

`set_many` with a timeout is one transaction over many keys: so the prefix of all keys is a hash tag.
"""

import sys

import django
from django.conf import settings

_, host, port, prefix, _ = sys.argv[1:]
prefix = f"{{{prefix}}}"
location = f"redis://{host}:{port}/0"
settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": location,
            "KEY_PREFIX": prefix,
        },
        "other": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": location,
            "KEY_PREFIX": f"{prefix}:other",
        },
    }
)
django.setup()

from django.core.cache import caches  # noqa: E402

for name, cache in (("django", caches["default"]), ("django_redis", caches["other"])):
    cache.set("greeting", {"hello": ["wörld", 1]}, timeout=100)
    cache.set_many({f"many:{number}": number for number in range(100)})
    found = cache.get_many([f"many:{number}" for number in range(0, 200, 2)])
    added = cache.add("greeting", "too late")
    cache.set("hits", 1)
    cache.incr("hits", 41)
    missing = cache.get("none", "default")
    print(f"{name}={cache.get('greeting')} {len(found)} {added} {cache.get('hits')} {missing}")
with caches["other"].lock("one at a time", timeout=10):
    print(f"lock={caches['other'].lock('one at a time', timeout=10).acquire(blocking=False)}")
print(f"pattern={caches['other'].delete_pattern('many:*')}")
