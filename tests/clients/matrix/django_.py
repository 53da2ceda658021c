"""Django: inspectdb over the demonstration's schema, and the ORM over two of its tables. See checks.py."""

import contextlib
import io
import os

import django
from django.conf import settings

import checks
from checks import MINE

settings.configure(
    USE_TZ=True,
    INSTALLED_APPS=[],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "OPTIONS": {"options": "-c search_path=clinic"},
    }},
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402


class Ward(models.Model):
    """Two mapped tables are enough for a join, a subquery and a page."""
    ward_id = models.IntegerField(primary_key=True)
    code = models.TextField()

    class Meta:
        app_label, managed, db_table = "matrix", False, "ward"


class Encounter(models.Model):
    encounter_id = models.BigIntegerField(primary_key=True)
    patient_id = models.BigIntegerField(null=True)
    ward = models.ForeignKey(Ward, models.DO_NOTHING, null=True)
    kind = models.TextField()
    charge = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        app_label, managed, db_table = "matrix", False, "encounter"


def inspectdb():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        call_command("inspectdb", "--include-views", stdout=said)
    return said.getvalue()


def tables():
    with connection.cursor() as cursor:
        return [tuple(t) for t in connection.introspection.get_table_list(cursor)]


def orm():
    mine = Encounter.objects.filter(patient_id=MINE).order_by("encounter_id").values_list("kind", "ward__code", "charge")
    grouped = Encounter.objects.values("ward__code").annotate(n=models.Count("pk"), total=models.Sum("charge"))
    return (list(mine), list(grouped.order_by("ward__code")), Encounter.objects.count(),
            list(Encounter.objects.order_by("pk")[3:9].values_list("pk", flat=True)),
            Encounter.objects.filter(kind="emergency").exists())


def iterator():
    # A server-side cursor, WITH HOLD outside a transaction.
    return [e.pk for e in Encounter.objects.order_by("pk").iterator(chunk_size=20)][:60]


def atomic():
    with transaction.atomic():
        with transaction.atomic():
            return Encounter.objects.filter(patient_id=MINE).count()


checks.run([("inspectdb", inspectdb), ("table list", tables), ("orm", orm), ("iterator", iterator), ("atomic", atomic)])
