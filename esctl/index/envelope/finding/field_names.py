"""Names that logs give to the envelope fields, best first, in lower case and bare (`event_id` is `eventid`)."""

from __future__ import annotations

import re


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ID = _names(
    """
    eventid eventuuid eventidentifier eventguid evtid id uuid guid messageid msgid messageuuid uid recordid
    logid identifier eid auditid auditeventid
    """
)

TYPE = _names(
    """
    type eventtype eventname eventkind event messagetype msgtype eventaction eventcode detailtype name action
    actionname actiontype activity activityname activitytype activitydisplayname operation operationname
    operationtype op verb evt eventtypename eventtypeid changetype exectype transactiontype trigger command
    actioncode what topic conceptname kind category method status actionid
    """
)

TELLING_TYPE = TYPE[:10]
"""Those of TYPE that mean nothing but the type of an event."""

TIME = _names(
    """
    time timestamp eventtime eventtimestamp eventdatetime activitydatetime occurredat occurredon occurred
    happenedat happened performedat executedat changedat actiontime actiondate activitydate accesstime
    changetime changedate ts datetime date eventdate createdat createdon created committedat recordedat
    loggedat publishedat receivedat at when epoch timeepoch unixtime logtime monotonictime transactiontime
    transactiondate timetimestamp updatedat creationtime creationdate revtstmp tstamp t
    """
)

TIME_WORDS = _names("timestamp time datetime ts date at on when epoch")
"""Words that a time's name ends in, most telling first."""

RECORDED_WORDS = _names(
    "received processed ingested ingest indexed stored inserted logged exported imported synced entered"
)
"""Words in the names of times at which events were recorded, not at which they happened."""

TIME_FORMS = _names("utc gmt local iso ms millis us micros ns nanos sec secs seconds")
"""Words after those of TIME_WORDS that say how a time is written."""

OTHER_TIME_WORDS = _names(
    """
    deadline due expires expiry expiration expire expired until end ends valid birth born dob planned
    scheduled target estimated expected eta next renewal promised requested start starts from since updated
    modified case effective previous prev last settlement settl settled opening closing delivery shipping
    arrival departure approved hired joined registered first
    """
)
"""Words in the names of times that are content of an event, not when it happened."""

ENTITY = _names(
    """
    stream streamid streamname aggregateid aggregate aggregateuuid aggregateidentifier entityid entity
    entityname entitykey subject subjectid originatorid objectid object resourceid resource resourcename
    targetid targetuser targetuserid targetusername targetname objectname objectkey documentid docid
    partitionkey caseconceptname key pk
    """
)

VAGUE = _names("object resource documentid docid targetname")
"""Those of ENTITY that often name something else."""

SHY = (*VAGUE, *_names("stream subject key pk"))
"""Those of ENTITY that are tried after all others, unless their values repeat as those of entities do."""

THINGS = _names(
    """
    order ticket issue invoice booking shipment parcel payment charge refund payout transfer claim case
    contract policy loan subscription cart processinstance task job document doc page path file filename
    filepath package item sku product asset device sensor door meter vm container machine vehicle room card
    wallet account customer client patient player repo repository project host team company tenant
    organization user member employee student node
    konto auftrag bestellung rechnung vertrag kunde artikel lieferung akte antrag
    compte commande facture contrat dossier cuenta pedido factura contrato cliente conto ordine fattura
    """
)
"""Things that logs are about: a field so named, alone or with `id`, `no`, `key`, ..., may be the entity."""

PEOPLE = ("user", "employee", "member", "student")
"""Those of THINGS that are often actors: a log is about another thing, if it names one."""

NO_THINGS = frozenset(
    _names(
        """
        category status type reason level priority version region zone channel application app batch build
        schema format error code lang language locale currency ip source severity facility client device
        browser os platform environment env cluster shard partition thread process request session trace span
        transaction correlation seq sequence revision offset
        """
    )
)
"""Words in the names of ids of sorts, of places in a log and of technical units: no thing is named by them."""

TECHNICAL = NO_THINGS - {"application", "app", "client", "device", "cluster", "channel"}
"""Those of NO_THINGS that no log can be about."""

PLACES = ("host", "team", "company", "tenant", "organization", "project", "repo", "repository")
"""Those of THINGS that others are in: a log that names other things is about those."""

TENANTS = ("tenant", "organization")
"""Those of THINGS that own others."""

TENANT = _names("tenantid tenant tenantuuid tenantkey organizationid organization orgid")
"""Names of the owner of a thing: for another tenant, the same name is another thing."""

PAIRED = _names(
    """
    entity item resource target object subject record auditable trackable aggregate model document content
    revisionable versioned versionable loggable commentable element node
    objectref resourceref targetref subjectref entityref involvedobject
    """
)
"""Names of a thing whose type and id are in two fields, as in `item_type` and `item_id`."""

SPACES = ("namespace",)
"""Names of the field, next to the type and the name of a thing, within which the name is unique."""

PAIR_IDS = ("id", "pk", "uuid", "key", "guid", "gid", "oid", "sid", "urn", "arn")
ODD_PAIRS = (
    ("contenttype", "objectpk"),
    ("contenttype", "objectid"),
    ("tablename", "recordid"),
    ("tablename", "rowid"),
    ("tablename", "pk"),
    ("table", "recordid"),
    ("table", "rowid"),
    ("table", "pk"),
    ("model", "objectpk"),
    ("model", "objectid"),
    ("model", "pk"),
    ("modelname", "objectid"),
    ("collection", "documentid"),
    ("entityname", "entityid"),
    ("entityname", "primarykey"),
    ("tablename", "primarykey"),
    ("table", "primarykey"),
    ("tablename", "keyvalues"),
    ("tablename", "entityid"),
)
"""Other pairs of names for the type and the id of a thing."""

DATABASES = _names("databasename database dbname db catalogname tablecatalog objectcatalog")
SCHEMAS = _names("schemaname tableschema objectschema schema schemata owner objectowner")
OF_DATABASES = _names("objectname tablename table relation relationname objectid")
"""Names of databases, of schemas, and of the tables in them."""

TABLES = ("tablename", "entityname", "table")
KEYS = ("primarykey", "keyvalues", "keys", "key")
"""Names of a table, and of an object whose only member is the key of a row of it."""

ACTOR = _names(
    """
    actor actorid actorname actoremail performedby changedby modifiedby doneby executedby initiatedby
    initiator whodunnit sourceuser sourceuserid sourceusername causer causerid principal principalid serverprincipalname
    dbusername sessionusername accessorid who
    operator operatorid performer initiatorid executor moderator moderatorid admin adminid administrator
    useridentity actinguser actinguserid caller invoker editor trader clerk staff staffid changer by
    updatedby createdby user userid username
    useremail author authorname agent committer orgresource employee employeeid login loginname email
    requestedby approvedby reviewedby verifiedby requester requestor byuser byuserid analyst technician
    benutzer bearbeiter sachbearbeiter mitarbeiter nutzer anwender utilisateur auteur usuario autor utente gebruiker
    """
)

SEQUENCE = _names(
    """
    seq sequence sequenceno seqno seqnum sequencenumber sequenceid seqid globalsequence globalposition globalseq
    offset lsn scn position eventnumber globalindex notificationid
    """
)

CORRELATION = _names(
    """
    correlationid correlation traceid requestid transactionid txid txnid sagaid processid conversationid
    sessionid workflowid
    """
)

CAUSATION = _names(
    """
    causationid causation causedby causeid parentid parenteventid parenteventuuid
    """
)

DATA = _names(
    """
    data payload body eventdata eventpayload content details detail attributes properties props state values
    """
)

PAYLOAD = DATA[:5]
"""Those of DATA that mean nothing but the payload."""

CARRIERS = _names(
    """
    message log msg value event record auditdata line text sns kinesis cloudtrailevent envelope entry item row doc
    document jsonpayload
    """
)
"""Fields, besides those of DATA, in which messages, logs and the like carry an event."""

META = _names(
    """
    metadata meta headers header envelope context eventmetadata
    """
)
"""Names of objects in which an envelope is kept."""

INSIDE_ACTOR = _names(
    """
    id login username name email arn emailaddress displayname userprincipalname upn loginname reference uid uuid user
    """
)
"""Names of the fields that name an actor inside its object."""


ACTOR_NAME = re.compile(
    r"(actor|performer|initiator|operator|caller|principal|admin|executor|invoker|moderator)"
    r"(?:uuid|guid|gid|login|username|userid|user|upn|arn|account|accountid|displayname|details|info|badge)"
)
"""A name for an actor, followed by what is said about it."""

WORDS_FOR_ANY = frozenset(("event", "events", "log", "audit", "auditlog", "record", "entry", "message"))
"""Values of a type that name no type of event: all events of a log have the same."""


def likeness(name: str) -> int:
    """Return how much a name is like an entity's, 0 to 5: whether it names a thing, and ends as ids of things do."""
    thing = re.sub(r"(?:id|uuid|no|nr|num|number|nummer|key|code|ref|name)$", "", name)
    return 3 * bool({name, thing} & {*ENTITY, *THINGS}) + 2 * (thing != name)
