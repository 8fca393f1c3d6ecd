"""When a job's worker was last heard of, so that one whose worker was killed can be given up."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("assistant", "0003_chats"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="alive_at",
            field=models.DateTimeField(blank=True, help_text="the last sign of life of its worker", null=True),
        ),
    ]
