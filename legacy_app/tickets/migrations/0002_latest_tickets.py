"""An index for the inbox as it opens: an organisation's tickets, the latest change first, whatever their status."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(fields=["organisation", "-updated_at", "-id"], name="ticket_latest"),
        ),
    ]
