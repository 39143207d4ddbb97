"""Every bound on what comes in, in one place. Units are in the comments."""

# -- transport -------------------------------------------------------------------------------------
MAX_BODY_BYTES = 114_688  # bytes: 112 KiB, as in later releases of Nova (spec ec2.md 1.1)
MAX_REQUEST_LINE = 65_536  # bytes of method, URL and version
MAX_HEADER_BYTES = 65_536  # bytes of all headers together
SOCKET_TIMEOUT = 60  # seconds a client may be silent in the middle of a request
KEEPALIVE_TIMEOUT = 75  # seconds a kept-open connection may be idle
HEAD_TIMEOUT = 30  # seconds from the first byte of a request's head to its last
BODY_TIMEOUT = 60  # seconds that the body of a request may take
ANSWER_TIMEOUT = 120  # seconds that a client may take to read an answer

# -- EC2 parameters --------------------------------------------------------------------------------
MAX_PARAMETERS = 2_000  # name/value pairs in one request
MAX_PARAMETER_DEPTH = 8  # dots in a parameter name
MAX_PARAMETER_NAME = 255  # characters
MAX_LIST_INDEX = 100_000  # the N of Name.N
MAX_IDS = 1_000  # ids named in one request
MAX_FILTERS = 50  # filters in one request
MAX_FILTER_VALUES = 200  # values of one filter
MAX_INTEGER_DIGITS = 20  # digits before a text is no longer taken for a number
MAX_PAGE = 1_000  # items in one page when the client asks for pages (MaxResults)
MIN_PAGE = 5  # AWS refuses fewer
MAX_VERSION = 64  # characters of the Version parameter that are echoed in the namespace

# -- names and texts -------------------------------------------------------------------------------
MAX_NAME = 255  # characters of key pair, group and display names
MAX_DESCRIPTION = 255  # characters
MAX_USER_DATA = 65_535  # characters of base64 text
MAX_PUBLIC_KEY = 16_384  # bytes of an imported public key
MAX_ACCESS_KEY = 255  # characters of an access key with its project suffix
MAX_CLIENT_TOKEN = 64  # characters of ClientToken
MAX_CONSOLE_BYTES = 65_536  # bytes of console text sent to a client

# -- cloud -----------------------------------------------------------------------------------------
MAX_INSTANCES_PER_CALL = 10_000  # MaxCount
MAX_BLOCK_DEVICES = 64  # block device mappings of one request
MAX_VOLUME_GB = 16_384  # GB of one volume
MAX_PERMISSIONS = 200  # rules in one authorize or revoke request
MAX_DATABASE_ID = 2**63 - 1  # an EC2 id beyond this cannot name a row

# -- OpenStack -------------------------------------------------------------------------------------
MAX_XML_DEPTH = 32  # elements within each other in a request
MAX_XML_NODES = 10_000  # elements of a request
MAX_SERVER_NAME = 255  # characters
MAX_NETWORKS = 64  # networks of one new server
MAX_GROUPS = 100  # security groups of one new server
MAX_FLAVOR_ID = 255  # characters
MAX_ADMIN_PASSWORD = 255  # characters
MAX_REGEX = 255  # characters of a pattern in a list's filter
MAX_SCHEDULER_HINTS = 32  # hints of one request
MAX_HINT_VALUES = 64  # values of one hint
MAX_RATE_LIMIT_USERS = 10_000  # users whose request rates one process remembers
MAX_CACHED_TOKENS = 10_000  # tokens of Keystone's that one process remembers
MAX_TOKEN = 255  # characters of X-Auth-Token
MAX_IMAGE_PROPERTY = 4096  # characters of the value of an image property
MAX_URL = 1024  # characters of the management URL that a token remembers
MAX_SPECS = 128  # extra specs or metadata items in one request
MAX_DNS_ENTRIES = 10_000  # entries of one DNS domain
MAX_INTEGER = 2**31 - 1  # of a number that the datastore keeps in four bytes

# -- operations ------------------------------------------------------------------------------------
READY_TIMEOUT = 2.0  # seconds that a question after the health waits for the datastore and the broker
READY_REUSE = 1.0  # seconds that their answer serves for
METRICS_REUSE = 5.0  # seconds that the figures read from the datastore and the broker serve for
METRICS_TIMEOUT = 5.0  # seconds that a scrape waits for them
METRICS_PORTS = 64  # ports from metrics_port on, of which a process takes the first that is free
MAX_METRIC_QUEUES = 1000  # queues of the broker that are asked for their depth
