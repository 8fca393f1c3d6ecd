"""An index for what an organisation used today: it is asked before every call to the provider."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("assistant", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="call",
            index=models.Index(fields=["organisation", "created_at"], name="calls_of_a_day"),
        ),
    ]
